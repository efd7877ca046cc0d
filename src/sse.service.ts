import { Inject, Injectable } from '@nestjs/common';
import { Observable } from 'rxjs';
import { SseGrant } from './connections/access.js';
import type { SseConnection, SseConnectionEnd } from './connections/connection.js';
import { Connections } from './connections/connections.js';
import type { DisconnectTarget } from './connections/disconnection.js';
import { EventIterator } from './connections/event-iterator.js';
import { ObserverSubscriber } from './connections/observer-subscriber.js';
import {
  checkRequest,
  type Connect,
  type EventsOptions,
  type MessagesOptions,
} from './connections/request.js';
import { SseBroker } from './broker/broker.js';
import { Channels } from './channel/channels.js';
import { checkChannels, DEFAULT_CHANNEL } from './event/event.js';
import type { SseChannelLike, SseEvent } from './event/event.js';
import { SseTypedChannel } from './event/typed-channel.js';
import { FailureLog } from './common/failure-log.js';
import { checkKeys } from './common/sse.errors.js';
import type { SseStats } from './options/sse.metrics.js';
import { SseStreams } from './streams/sse-streams.service.js';
import type { AnyDefinition } from './typed-channels/define-channel.js';
import type { SseEventOf } from './typed-channels/typed-event.js';
import { Publications } from './publications.js';
import { SsePublisher } from './sse.publisher.js';
import { RESOLVED_OPTIONS, type ResolvedOptions } from './options/sse.options.js';

/** Publishes events to named channels, and subscribes to them. */
@Injectable()
export class SseService extends SsePublisher {
  readonly #failures = new FailureLog();

  /** @internal */
  // oxlint-disable-next-line max-params -- Nest injects them
  constructor(
    private readonly broker: SseBroker,
    private readonly channels: Channels,
    private readonly open: Connections,
    private readonly streams: SseStreams,
    @Inject(RESOLVED_OPTIONS) private readonly options: ResolvedOptions,
    publications: Publications,
  ) {
    super(publications);
  }

  /**
   * The events of one or more channels (or of the value of `@GrantedChannels()`; without arguments, of the channel `sse`), missed ones
   * since `lastEventId` first, for `@Sse()` or any RxJS pipeline.
   *
   * Per channel, it emits every event that was stored after `lastEventId`, in order and once; or one `sse.reset`
   * event, with `{ channel, reason }` as data, followed by live events. Transient events may be lost. The
   * observable never errors because of the broker, and completes when the application shuts down. Each subscription
   * is a connection of its own; all share one Redis subscription per channel and process, and the event objects.
   *
   * With several channels, ids are composite cursors that resume each channel, and no order is promised across them. If some of
   * them are unreachable for a second, the others begin. When a missing channel opens, an `sse.position` event adds it to the id.
   *
   * Cost: one SUBSCRIBE per channel and process. Missed events come from this process's memory if they are among the
   * last 256 events and a few seconds old at most, otherwise from Redis, 100 events a read; subscribers at the same position share reads.
   *
   * It also completes when it is disconnected, when its credential expires, and when an authorizer withdraws the permission.
   *
   * @typeParam T the type of the data, which is not checked
   * @throws SseError `SSE_INPUT`, in the call, for a wrong channel, undefined included, or an unknown option
   */
  messages<T = unknown>(): Observable<SseEvent<T>>;
  messages<C extends SseTypedChannel<AnyDefinition>>(
    channel: C | readonly C[],
    options?: MessagesOptions,
  ): Observable<SseEventOf<C['definition']>>;
  messages<T = unknown>(
    channel: SseChannelLike | readonly SseChannelLike[] | SseGrant,
    options?: MessagesOptions,
  ): Observable<SseEvent<T>>;
  messages(...args: [channel?: unknown, options?: MessagesOptions]): Observable<SseEvent> {
    const [channel, options] = args.length === 0 ? [DEFAULT_CHANNEL] : args;
    const connect = this.#connect(channel, options, ['lastEventId', 'from']);
    return new Observable<SseEvent>((observer) => {
      const subscriber = new ObserverSubscriber(observer, this.#failures);
      const close = connect(subscriber, () => subscriber.end());
      if (!close) return subscriber.end();
      return () => close(subscriber.hasFailed ? 'error' : 'client');
    });
  }

  /**
   * The events of one or more channels as `messages()` emits them, for a consumer that pulls them: `for await`, or a library that
   * takes an async iterable.
   *
   * The connection begins with the call. It ends with the iteration (`break`, `return()`, `throw()`), and the iteration ends with the
   * `signal`, when the connection is disconnected, when its credential expires or its permission is withdrawn, and when the application
   * shuts down; unread events are then discarded. It ends without an error: where a plain end is final for a client, as for tRPC, throw
   * after the loop (docs/recipes).
   *
   * A consumer may be slow: beyond 100 unread events or 512 KiB it leaves live delivery and catches up from the history. Transient
   * events may be lost then. With `history: false`, events beyond 1,024 or 1 MiB are dropped, and one `sse.reset` (`lost`) is
   * delivered in their place for each channel.
   *
   * Cost: as `messages()`.
   *
   * @typeParam T the type of the data, which is not checked
   * @throws SseError `SSE_INPUT`, in the call, for a wrong channel, undefined included, or an unknown option; the first
   *   `next()` rejects with `SSE_UNAVAILABLE` if the connection is refused: by a limit, a recent `disconnect()`, or a shutdown
   */
  events<C extends SseTypedChannel<AnyDefinition>>(
    channel: C | readonly C[],
    options?: EventsOptions,
  ): AsyncIterableIterator<SseEventOf<C['definition']>, undefined, undefined>;
  events<T = unknown>(
    channel: SseChannelLike | readonly SseChannelLike[] | SseGrant,
    options?: EventsOptions,
  ): AsyncIterableIterator<SseEvent<T>, undefined, undefined>;
  events(channel: unknown, options?: EventsOptions): AsyncIterableIterator<SseEvent, undefined, undefined> {
    const connect = this.#connect(channel, options, ['lastEventId', 'from', 'signal']);
    return new EventIterator(connect, this.options.history !== false, options?.signal);
  }

  /**
   * The position at which channels are now: the id to resume after for every event that is published from now on. It closes the gap between
   * loading a state and listening: read the position, then the state, then connect with the position as `lastEventId`. An
   * event that is published between the two reads may be in the state already.
   *
   * A channel that was never published to has a position, too. It is kept for 10 minutes. No connection is needed.
   *
   * Cost: one script call in Redis for each channel.
   *
   * @throws SseError `SSE_INPUT` for a wrong channel; `SSE_OPTIONS` with `history: false`; `SSE_UNAVAILABLE`
   */
  async position(channel: SseChannelLike | readonly SseChannelLike[] | SseGrant): Promise<string> {
    return this.channels.position(channel instanceof SseGrant ? channel.channels : checkChannels(channel));
  }

  #connect(channel: unknown, options: EventsOptions | undefined, known: readonly string[]): Connect {
    const { start, ...request } = checkRequest(channel, options, known);
    this.channels.checkNewest(start.newest);
    // Either may cost a read for each channel.
    const resumes = start.lastEventId !== undefined || Number(start.newest) > 0;
    return (subscriber, end) => {
      let subscription: { unsubscribe(): void } | undefined;
      const begin = () => (subscription = this.channels.subscribe(request.channels, subscriber, start));
      const remove = this.open.admit({ resumes, begin, end, ...request });
      if (typeof remove === 'number') return undefined;
      return (reason) => {
        remove(reason);
        subscription?.unsubscribe();
      };
    };
  }

  /**
   * Ends connections, on every node, within a second, and refuses their clients for `refuseMs`: they
   * retry after that, unless their credential is newer (`issuedAt`). Then the route's rules decide again. It does
   * not withdraw a right: withdraw that first, where the authorizers read it. An authorizer's decision from before the call
   * does not count, so a connection that is about to open is decided again.
   *
   * Cost: one publication; a node with connections subscribes to one more channel.
   *
   * @param target the connections that match all given fields
   * @param options `refuseMs`: in ms, a whole number, 0–3,600,000; with 0, clients may reconnect at once. @default 60000; 0 for a
   *   channel alone, because it would lock out other clients of the channel
   * @returns the number of connections that it ended on this node. The number on other nodes is not known: they process the
   *   call later
   * @throws SseError `SSE_INPUT`; `SSE_UNAVAILABLE` as `publish()`
   */
  async disconnect(target: DisconnectTarget, options: { refuseMs?: number } = {}): Promise<number> {
    checkKeys('SSE_INPUT', 'options', options, ['refuseMs']);
    return this.open.disconnect(target, options.refuseMs);
  }

  /** A snapshot of the open connections of this node. */
  connections(): SseConnection[] {
    return this.open.list();
  }

  /**
   * Calls a listener whenever a connection opens on this node, before its first event. Exceptions and rejections of the
   * listener are logged; a promise is not awaited.
   *
   * @returns a function that removes the listener
   * @throws SseError `SSE_INPUT` for anything but a function
   */
  onConnect(listener: (connection: SseConnection) => unknown): () => void {
    return this.open.connects.add(listener);
  }

  /**
   * Calls a listener whenever a connection of this node ends, with the reason; at shutdown for all of them,
   * before `onApplicationShutdown()`. If a node is killed, there is no call.
   *
   * @returns a function that removes the listener
   * @throws SseError `SSE_INPUT` for anything but a function
   */
  onDisconnect(listener: (connection: SseConnectionEnd) => unknown): () => void {
    return this.open.disconnects.add(listener);
  }

  /** The metrics of this process. Cost: none, no command is sent. */
  stats(): SseStats {
    const { connected, state } = this.broker;
    const { size: connections, draining, refused, slow } = this.open;
    const [{ size: channels, metrics }, { published, rejected }] = [this.channels, this.publications];
    const own = { connected, state, draining, channels, connections, published, rejected, refused, slow };
    const { ended, ...streams } = this.streams.metrics;
    return {
      ...own,
      ...metrics,
      resets: { ...metrics.resets },
      streams: { ...streams, ended: { ...ended } },
    };
  }
}
