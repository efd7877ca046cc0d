/// <reference lib="esnext.disposable" preserve="true" />
import type { SseClientEvent, SseListener } from './listeners.js';
import {
  checkOptions,
  checkUrl,
  type ConnectOptions,
  type SharedSource,
  type SseRequest,
  type SseShare,
  type SseSnapshot,
} from './options.js';
import type { SseSourceError } from './retries.js';
import { createSource, type SseState } from './source.js';
import type {
  SseClientControlEvent,
  SseClientDefinition,
  SseClientEventOf,
  SseEndData,
  SsePositionData,
  SseResetData,
  SseTypedEvent,
  SseTypedListener,
} from './typed-events.js';

export type {
  ConnectOptions,
  SharedSource,
  SseClientControlEvent,
  SseClientDefinition,
  SseClientEvent,
  SseClientEventOf,
  SseEndData,
  SseListener,
  SsePositionData,
  SseRequest,
  SseResetData,
  SseShare,
  SseSnapshot,
  SseSourceError,
  SseState,
  SseTypedEvent,
  SseTypedListener,
};

/** What every source has, with typed events or without. */
export interface SseAnySource extends Disposable {
  /**
   * - `connecting`: an attempt is made, with its `snapshot`, `headers` and `ticket`.
   * - `open`: the server has accepted the connection.
   * - `waiting`: the connection broke, or an attempt failed, for the reason in `error`. Another attempt follows.
   * - `ended`: by `close()`, by the signal, or by the server: with `sse.end`, or 204.
   * - `failed`: for the reason in `error`. No attempt follows.
   *
   * To follow it, listen to `sse.state`.
   */
  readonly state: SseState;
  /** Why the source is waiting, connects again, or has failed. */
  readonly error: SseSourceError | undefined;
  /** The id from which the source would resume; '' if there is none. */
  readonly lastEventId: string;
  /** Ends the connection, for good. */
  close(): void;
}

/**
 * The events of a URL, from `connect()`. It reconnects by itself, and continues after the last event that it delivered.
 *
 * `for await` over it delivers all events, those of the server whose type begins with `sse.` included, until the source has ended; it throws
 * where the source has failed. Leaving the loop does not close the source. While a loop has 256 events waiting, the source reads no further.
 */
export interface SseSource extends SseAnySource, AsyncIterable<SseClientEvent> {
  /** Calls a listener with each new `state`. No server sends events of this type. */
  on(type: 'sse.state', listener: SseListener<SseState>): this;
  /**
   * Calls a listener with each event of a type, `message` for events without one. The type of the data is not checked. What a listener
   * throws is reported by `reportError()`, in Node on the console, and stops nothing.
   *
   * @typeParam Type any but `sse.state`, whose listeners get an `SseState`
   */
  on<T = unknown, Type extends string = string>(
    type: Type extends 'sse.state' ? never : Type,
    listener: SseListener<T>,
  ): this;
  /** Calls a listener with the next `state`. */
  once(type: 'sse.state', listener: SseListener<SseState>): this;
  /** Calls a listener with the next event of a type. */
  once<T = unknown, Type extends string = string>(
    type: Type extends 'sse.state' ? never : Type,
    listener: SseListener<T>,
  ): this;
  /** Removes a listener. */
  off<T = unknown>(type: string, listener: SseListener<T>): this;
}

/**
 * A source whose event types and data are those of `defineChannel()`, from `connect<typeof orders>()`. The server checks the data when it is
 * published, the client does not.
 *
 * @typeParam Definition one definition, or a union of several
 */
export interface SseTypedSource<Definition extends SseClientDefinition>
  extends SseAnySource, AsyncIterable<SseClientEventOf<Definition>> {
  /** Calls a listener with each event of a type of the definition, of a type of the module, or with each new state, as `SseSource` does. */
  on<Type extends SseTypedEvent<Definition, string>['type']>(
    type: Type,
    listener: SseTypedListener<Definition, Type>,
  ): this;
  /** Calls a listener with the next event of a type. */
  once<Type extends SseTypedEvent<Definition, string>['type']>(
    type: Type,
    listener: SseTypedListener<Definition, Type>,
  ): this;
  /** Removes a listener. */
  off<Type extends SseTypedEvent<Definition, string>['type']>(
    type: Type,
    listener: SseTypedListener<Definition, Type>,
  ): this;
}

/**
 * Connects to an `@SseChannel()`, `@SseStream()` or `@Sse()` route, or to any other source of server-sent events, and stays connected, in
 * browsers and in Node.
 *
 * - Where the connection breaks, or the server answers 5xx, 408 or 429, the source reconnects: after the server's reconnection time (`retry:`,
 *   otherwise 1 s) or `Retry-After`, whichever is longer, and a random part of 1 s, which doubles up to 30 s while nothing arrives.
 * - After 401 or 403, it calls `headers()` or `ticket()` once more, and fails if the answer is the same. It fails after other answers, too.
 * - After 200 with another content type, as proxies send it, it makes another attempt after 30 s, and fails after five in a row.
 * - It ends with `sse.end` and with 204.
 * - It reconnects if nothing arrives for 2.5 heartbeats. An `@SseChannel()` names their interval; 15 s hold for other servers.
 * - When the browser is online again, or the page is shown again, it checks the connection or makes the next attempt, at once; but not
 *   before `Retry-After`.
 *
 * A function of the options that rejects counts as a failed connection; if its error has a `status`, as an answer with that status.
 *
 * @example
 * const source = connect('/orders', { headers: async () => ({ authorization: `Bearer ${await token()}` }) });
 * source.on('paid', (order, { id }) => show(order, id));
 * source.on('sse.state', (state) => setOnline(state === 'open'));
 *
 * @throws TypeError for a wrong URL, an unknown option, and a wrong value
 */
export function connect(url: string | URL, options?: ConnectOptions): SseSource;
/**
 * Connects to typed channels. Import their definition as a type, with `import type`: a bundle then has nothing of the server.
 *
 * @typeParam Definition `typeof` a definition of `defineChannel()`, or a union of several
 * @example
 * const source = connect<typeof orders>('/orders/7/events');
 * source.on('paid', ({ amount }) => show(amount));
 *
 * @throws TypeError for a wrong URL, an unknown option, and a wrong value
 */
export function connect<Definition extends SseClientDefinition>(
  url: string | URL,
  options?: ConnectOptions,
): SseTypedSource<Definition>;
export function connect(url: string | URL, options: ConnectOptions = {}): SseAnySource {
  return createSource(checkUrl(url), checkOptions(options));
}
