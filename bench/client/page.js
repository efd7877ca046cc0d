/** What runs in the page: each client as the basic example of its README uses it. */
import { EventStreamContentType, fetchEventSource } from '@microsoft/fetch-event-source';
import { createEventSource } from 'eventsource-client';
import ReconnectingEventSource from 'reconnecting-eventsource';
import { connect } from '../../dist/client/index.js';

/** When each event arrived. */
export const log = [];
const got = (data) => {
  // One of the clients delivers comments and lines of other fields as events without data.
  if (data !== '') log.push({ n: Number(data), at: Date.now() });
};

const READY_STATES = ['connecting', 'open', 'closed'];
const token = () => `Bearer ${Math.random()}`;

/** @returns what the client tells about its state */
function fetchEventSourceWith(url, options) {
  let state = 'pending';
  const settled = (as) => () => (state = as);
  const headers = options.hasToken ? { authorization: token() } : {};
  void fetchEventSource(url, { headers, onmessage: ({ data }) => got(data), ...options.handlers }).then(
    settled('resolved'),
    settled('rejected'),
  );
  return () => state;
}

class FatalError extends Error {}

/** As the README of the package shows for better error handling. */
const HANDLERS = {
  async onopen({ ok, status, headers }) {
    if (ok && headers.get('content-type') === EventStreamContentType) return;
    throw status >= 400 && status < 500 && status !== 429 ? new FatalError() : new Error();
  },
  onclose() {
    throw new Error();
  },
  onerror(error) {
    if (error instanceof FatalError) throw error;
  },
};

const STARTS = {
  own(url, { hasToken }) {
    const source = connect(url, hasToken ? { headers: async () => ({ authorization: token() }) } : {});
    source.on('message', (_, { text }) => got(text));
    return () => source.state;
  },
  fetchEventSource: (url, options) => fetchEventSourceWith(url, options),
  fetchEventSourceHandlers: (url, options) => fetchEventSourceWith(url, { ...options, handlers: HANDLERS }),
  eventsourceClient(url, { hasToken }) {
    const headers = hasToken ? { authorization: token() } : {};
    const source = createEventSource({ url, headers, onMessage: ({ data }) => got(data) });
    return () => source.readyState;
  },
  native(url) {
    const source = new EventSource(url);
    source.addEventListener('message', ({ data }) => got(data));
    return () => READY_STATES[source.readyState];
  },
  reconnecting(url) {
    const source = new ReconnectingEventSource(url);
    source.addEventListener('message', ({ data }) => got(data));
    return () => READY_STATES[source.readyState];
  },
};

export let state;
export const start = (client, url, options) => void (state = STARTS[client](url, options));
