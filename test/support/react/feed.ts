import { createElement, Fragment, StrictMode } from 'react';
import type { ConnectOptions, SseSource } from '../../../src/client/index.js';
import { useSse, useSseSource, useSseState } from '../../../src/client/react.js';

export interface FeedProps {
  /** The source of the application; without it, the components open one for the URL. */
  source?: SseSource;
  url?: string;
  options?: ConnectOptions;
  label?: number;
  /** Called with each event that a component gets. */
  onEvent?: (component: string, data: unknown, label: number) => void;
}

/** Two components that share one source, in the strict mode of React. */
export const feed = (props: FeedProps) =>
  createElement(StrictMode, {}, createElement(props.source ? Given : Opened, props));

function Opened(props: FeedProps) {
  const source = useSseSource(props.url, props.options);
  return createElement(Given, { ...props, source });
}

function Given(props: FeedProps) {
  const views = ['a', 'b'].map((name) => createElement(View, { ...props, name, key: name }));
  return createElement(Fragment, {}, ...views);
}

/** Shows the state, the error, and the last event. */
function View({ source, name, label = 0, onEvent }: FeedProps & { name: string }) {
  const state = useSseState(source);
  const last = useSse(source, 'message');
  useSse(source, 'message', (data) => onEvent?.(name, data, label));
  const shown = [name, label, state, last?.text, source?.error?.message];
  return createElement('p', {}, shown.filter((part) => part !== undefined).join(' '));
}
