import { receive } from './connection.js';
import { createIterations } from './iterations.js';
import { createListeners, type SseListener } from './listeners.js';
import { check, type ConnectOptions, type SseRequest } from './options.js';
import { watchPage } from './page-events.js';
import type { EventStreamParser, ParsedEvent } from './parser.js';
import { createRetries, type SseSourceError } from './retries.js';

/** `connecting`: an attempt is made; `waiting`: another one follows; `ended` and `failed` are final. */
export type SseState = 'connecting' | 'open' | 'waiting' | 'ended' | 'failed';

/** The type of the events that report the state. Servers of this package cannot send it: types with `sse.` are reserved. */
const STATE = 'sse.state';
/** How often a connection is checked for silence, in seconds. */
const CHECK = 2;

/**
 * The events of a URL, over as many connections as it takes.
 *
 * A function, because bundlers shorten the names of local variables: a class was a fifth larger.
 *
 * @param secondMs how long a second of the delays is
 */
export function createSource(url: string, options: ConnectOptions, secondMs = 1_000) {
  const { headers, ticket, snapshot, share, signal: userSignal, fetch = globalThis.fetch } = options;
  const listeners = createListeners();
  const retries = createRetries(secondMs);
  /** Removes the listeners of the page and of the application's signal. */
  const over = new AbortController();
  const isOver = () => over.signal.aborted;
  let attempt = new AbortController();
  /** Whether the state of the application has to be loaded. */
  let isStale = snapshot !== undefined && options.lastEventId === undefined;
  /** Acts on a sign that time has passed, or that the network is back. */
  let wake = () => {};

  const close = () => finish('ended');
  const add = (isOnce: boolean) => (type: string, listener: SseListener<never>) => (
    listeners.add(type, listener, isOnce),
    source
  );

  const source = {
    state: 'connecting' as SseState,
    error: undefined as SseSourceError | undefined,
    lastEventId: options.lastEventId ?? '',
    on: add(false),
    once: add(true),
    off: (type: string, listener: SseListener<never>) => (listeners.remove(type, listener), source),
    close,
    [Symbol.dispose]: close,
    [Symbol.asyncIterator]: () => iterations.iterate(),
  };
  const iterations = createIterations(source, isOver);

  function setState(state: SseState): void {
    if (state === source.state) return;
    source.state = state;
    listeners.call({ type: STATE, data: state, text: state, id: source.lastEventId });
  }

  function finish(state: 'ended' | 'failed', error?: SseSourceError): void {
    if (isOver()) return;
    source.error = error;
    over.abort();
    attempt.abort();
    wake();
    setState(state);
    iterations.wake();
  }

  const receiver = {
    onOpen: () => {
      retries.opened();
      source.error = undefined;
      setState('open');
      return source.lastEventId;
    },
    onEvent: ({ id, type, data: text }: ParsedEvent) => {
      source.lastEventId = id;
      if (type === STATE) return;
      const event = { type, data: valueOf(text), text, id };
      listeners.call(event);
      iterations.give(event);
      if (type === 'sse.end') close();
      else if (type !== 'sse.reset') retries.worked();
      else if (snapshot) {
        isStale = true;
        attempt.abort(new Error('Events are lost'));
      }
    },
    onRead: ({ lastEventId, retryMs }: EventStreamParser) => {
      // A block without data moves the position, too.
      source.lastEventId = lastEventId;
      retries.retryMs = retryMs ?? retries.retryMs;
      return iterations.ready();
    },
  };

  const send: SseRequest = async (signal, lastEventId) => {
    const init = new Headers(typeof headers === 'function' ? await headers() : headers);
    init.set('accept', 'text/event-stream');
    // Header values are bytes: UTF-8, as browsers send ids.
    const id = String.fromCharCode(...new TextEncoder().encode(lastEventId));
    if (id) init.set('last-event-id', id);
    const target = new URL(url);
    if (ticket) {
      const value = await ticket();
      if (!value) throw new TypeError('Expected a ticket');
      target.searchParams.set('ticket', value);
    }
    signal.throwIfAborted();
    return fetch(target.href, { headers: init, signal, cache: 'no-store' });
  };
  const request = share?.({ url, request: send, wake: () => wake(), signal: over.signal }) ?? send;

  /** Requests the events, after the state where that has to be loaded. */
  async function open(signal: AbortSignal): Promise<Response> {
    if (isStale) {
      const { lastEventId } = await snapshot!();
      signal.throwIfAborted();
      check('lastEventId', lastEventId);
      source.lastEventId = lastEventId;
      isStale = false;
    }
    return request(signal, source.lastEventId);
  }

  /** One attempt, and the connection that it makes. */
  async function connect({ signal }: AbortController): Promise<void> {
    signal.throwIfAborted();
    const timer = setInterval(() => wake(), CHECK * secondMs);
    signal.addEventListener('abort', () => clearInterval(timer));
    const connection = receive(() => open(signal), receiver, attempt);
    wake = connection.check;
    await connection.done;
    close();
  }

  /** Waits until the next attempt, unless there is none. */
  async function recover(error: SseSourceError): Promise<void> {
    if (isOver()) return;
    const canRenew = ticket !== undefined || typeof headers === 'function';
    // A reset is no failure of the server. Its clients only must not all load their state at once.
    const delay = isStale && source.state === 'open' ? retries.jitter() : retries.delayAfter(error, canRenew);
    if (delay === undefined) return finish('failed', error);
    source.error = error;
    const notBefore = Date.now() + (error.status === 200 ? delay : (error.retryAfterMs ?? 0));
    const pause = new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, delay);
      wake = () => {
        if (Date.now() < notBefore && !isOver()) return;
        clearTimeout(timer);
        resolve();
      };
    });
    // A listener may close the source.
    setState('waiting');
    await pause;
  }

  async function run(): Promise<void> {
    while (!isOver()) {
      attempt = new AbortController();
      const { signal } = attempt;
      // The functions of the application may not settle, and its `fetch` may ignore the signal.
      const aborted = new Promise<never>((_, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason as Error));
      });
      setState('connecting');
      try {
        await Promise.race([aborted, connect(attempt)]);
      } catch (error) {
        attempt.abort();
        await recover(Object(error) as SseSourceError);
      }
    }
  }

  watchPage(
    over.signal,
    () => wake(),
    () => attempt.abort(new Error('The page left')),
  );
  userSignal?.addEventListener('abort', close, { signal: over.signal });
  if (userSignal?.aborted) close();
  // Listeners that are added in this turn get everything.
  else queueMicrotask(() => void run());
  return source;
}

function valueOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
