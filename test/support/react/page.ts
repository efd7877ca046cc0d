import { createRoot, hydrateRoot, type Root } from 'react-dom/client';
import { connect } from '../../../src/client/index.js';
import { feed, type FeedProps } from './feed.js';

let root: Root;
const log: unknown[] = [];
const container = document.querySelector('#root')!;
const withLog = (props: FeedProps) =>
  feed({ onEvent: (name, data) => void log.push(`${name} ${String(data)}`), ...props });

/** What a test calls in the page. */
Object.assign(globalThis, {
  connect,
  log,
  render: (props: FeedProps) => (root ??= createRoot(container)).render(withLog(props)),
  hydrate: (props: FeedProps) => {
    // oxlint-disable-next-line no-console -- the test reads the console
    root = hydrateRoot(container, withLog(props), { onRecoverableError: console.error });
  },
  unmount: () => root.unmount(),
});
