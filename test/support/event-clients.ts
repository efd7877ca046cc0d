/** A line of JSON that the script of a client writes to the console. */
export interface ClientLine {
  path: string;
  /** An event that the client passed to the application. */
  type?: string;
  data?: string;
  id?: string;
  /** The package waits for this time before it reconnects. */
  wait?: number;
  /** The client has ended for good. */
  ended?: true;
}

/** Listens as `EventSource` does: to each type of events by its name. */
const LISTEN = `
  for (const type of ['message', 'news', 'sse.open', 'sse.reset']) {
    source.addEventListener(type, ({ data, lastEventId }) => log({ type, data, id: lastEventId }));
  }
  source.addEventListener('error', () => source.readyState === 2 && log({ ended: true }));
`;

/** How each client opens a \`url\`, and passes its events to \`log\`. */
const CLIENTS = {
  EventSource: { imports: '', open: `const source = new EventSource(url); ${LISTEN}` },
  eventsource: {
    imports: `import { EventSource } from 'eventsource';`,
    open: `const source = new EventSource(url); ${LISTEN}`,
  },
  'extended-eventsource': {
    imports: `import { EventSource } from 'extended-eventsource';`,
    open: `const source = new EventSource(url, { disableLogger: true }); ${LISTEN}`,
  },
  'fetch-event-source': {
    imports: `import { fetchEventSource } from '@microsoft/fetch-event-source';`,
    open: `
      const onmessage = ({ event, data, id }) => log({ type: event || 'message', data, id });
      const onclose = () => { throw new Error('closed'); };
      const ended = () => log({ ended: true });
      fetchEventSource(url, { openWhenHidden: true, onmessage, onclose }).then(ended, ended);
    `,
  },
  'eventsource-client': {
    imports: `import { createEventSource } from 'eventsource-client';`,
    open: `
      const onMessage = ({ event = 'message', data, id }) => log({ type: event, data, id });
      const onDisconnect = () => queueMicrotask(() => source.readyState === 'closed' && log({ ended: true }));
      const source = createEventSource({ url, onMessage, onDisconnect });
    `,
  },
} as const;

export type ClientName = keyof typeof CLIENTS;

export const clientNames = Object.keys(CLIENTS) as ClientName[];

/** The clients of these packages also run in Node.js. */
export const nodeClientNames = ['eventsource', 'extended-eventsource', 'eventsource-client'] as const;

/** A module that opens each URL with the client. */
export function clientScript(name: ClientName, urls: readonly string[]): string {
  const { imports, open } = CLIENTS[name];
  return `
    ${imports}
    const write = (line) => console.log(JSON.stringify(line));
    const setPlainTimeout = globalThis.setTimeout;
    globalThis.setTimeout = (run, wait, ...rest) => {
      // The fetch of Node.js also has timers.
      if (new Error().stack.includes('/node_modules/')) write({ path: '', wait });
      return setPlainTimeout.call(globalThis, run, wait, ...rest);
    };
    for (const url of ${JSON.stringify(urls)}) {
      const log = (line) => write({ path: new URL(url).pathname, ...line });
      ${open}
    }
  `;
}
