import { AsyncResource } from 'node:async_hooks';
import { performance } from 'node:perf_hooks';
import { Inject, Injectable } from '@nestjs/common';
import { Observable } from 'rxjs';
import { ACCESS_KEYS, checkAccess, mergeGrant, type SseAccess, SseGrant } from './connections/access.js';
import type { SseConnection, SseConnectionEnd } from './connections/connection.js';
import { Connections } from './connections/connections.js';
import type { DisconnectTarget } from './connections/disconnection.js';
import { SseBroker } from './broker/broker.js';
import { type ChannelEvent, positionEvent } from './channel/channel-event.js';
import { Channels } from './channel/channels.js';
import { channelOf, checkChannels, checkPublication, DEFAULT_CHANNEL } from './event/event.js';
import type { PublishOptions, SseEvent } from './event/event.js';
import { FailureLog } from './common/failure-log.js';
import { causeOf, checkKeys } from './common/sse.errors.js';
import type { SseStats } from './options/sse.metrics.js';
import { RESOLVED_OPTIONS, type ResolvedOptions } from './options/sse.options.js';

/** The start of a connection, and its user and credential. All fields are optional. */
export interface MessagesOptions extends SseAccess {
  /** The id to resume after, as `@LastEventId()` gives it. */
  lastEventId?: string;
}

/** Publishes events to named channels, and subscribes to them. */
@Injectable()
export class SseService {
  readonly #failures = new FailureLog();
  #published = 0;
  #rejected = 0;

  /** @internal */
  constructor(
    private readonly broker: SseBroker,
    private readonly channels: Channels,
    private readonly open: Connections,
    @Inject(RESOLVED_OPTIONS) private readonly options: ResolvedOptions,
  ) {}

  /**
   * Publishes an event to all subscribers of the channel, in any process.
   *
   * It retries for up to 4.5 s and stores each event exactly once, in the order of the calls of this process, also if they are not
   * awaited. Storing and sending are atomic. Up to 100,000 events or 64 MiB may be pending.
   * Cost: one script call in Redis (one PUBLISH if transient).
   *
   * @param data a string, sent unchanged, or any JSON value, sent as JSON, nested at most 500 levels deep
   * @returns the event's public id, once the broker has confirmed it; '' for a transient event
   * @throws SseError `SSE_INPUT` for an unacceptable argument, before anything is written; `SSE_UNAVAILABLE` within
   *   5 s without a confirmation (`mayBePublished` says whether the event may have been published nevertheless)
   */
  async publish(data: unknown, options: PublishOptions = {}): Promise<string> {
    const publication = checkPublication(data, options, this.options.maxPayloadBytes);
    const channel = channelOf(options);
    const start = performance.now();
    const publishing = this.broker.publish(channel, publication);
    publishing.then(
      () => this.#count('published', start),
      () => this.#count('rejected', start),
    );
    return publishing;
  }

  #count(outcome: 'published' | 'rejected', start: number): void {
    if (outcome === 'published') this.#published++;
    else this.#rejected++;
    try {
      this.options.metrics.publication(performance.now() - start, outcome);
    } catch (error) {
      // A failing metrics adapter must not fail the publication.
      this.#failures.error('metrics', error);
    }
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
  messages<T = unknown>(
    channel: string | readonly string[] | SseGrant,
    options?: MessagesOptions,
  ): Observable<SseEvent<T>>;
  messages(...args: [channel?: unknown, options?: MessagesOptions]): Observable<SseEvent> {
    const [channel, options = {}] = args.length === 0 ? [DEFAULT_CHANNEL] : args;
    checkKeys('SSE_INPUT', 'options', options, ['lastEventId', ...ACCESS_KEYS]);
    const { lastEventId, ...known } = options;
    const grant = channel instanceof SseGrant ? channel : undefined;
    const { askedAt, source } = grant ?? {};
    const channels = grant ? [...grant.channels] : checkChannels(channel);
    const own = checkAccess(known);
    const access = mergeGrant(own, grant?.access ?? {});
    const renew = grant?.renew && (async () => mergeGrant(own, await grant.renew!()));
    return new Observable<SseEvent>((observer) => {
      // The subscriber's async context. Otherwise operators would run in the publisher's, or in that of the first subscriber.
      const context = new AsyncResource('SseMessages', { requireManualDestroy: true });
      const end = () => {
        try {
          context.runInAsyncScope(() => observer.complete());
        } catch (error) {
          // Thrown by the application, for example in `finalize()`. Other connections must still be closed.
          const cause = causeOf(error);
          this.#failures.error(cause, `An observable of messages() has failed as it was completed: ${cause}`);
        }
      };
      let isDone = false;
      let isOpen = false;
      const subscriber = {
        open: (id: string | undefined, live: readonly string[]) => {
          // A channel that opens later is added to the position of a client that has begun without it.
          const event = isOpen && id !== undefined && live.length > 0 && positionEvent(id, live);
          isOpen = true;
          if (event) context.runInAsyncScope(() => observer.next(event));
        },
        next: ({ event }: ChannelEvent, id = event.id) => {
          const given = id === event.id ? event : Object.freeze({ ...event, id });
          context.runInAsyncScope(() => observer.next(given));
        },
        complete: () => {
          isDone = true;
          end();
        },
      };
      // A query may give any type.
      const id = typeof lastEventId === 'string' && lastEventId !== '' ? lastEventId : undefined;
      let unsubscribe = () => {};
      const begin = () => ({ unsubscribe } = this.channels.subscribe(channels, subscriber, id));
      const resumes = id !== undefined;
      const remove = this.open.admit({ channels, access, renew, askedAt, source, resumes, begin, end });
      if (typeof remove === 'number') return end();
      return () => {
        remove(isDone ? 'error' : 'client');
        unsubscribe();
      };
    });
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
    const { size: channels, metrics } = this.channels;
    const [published, rejected] = [this.#published, this.#rejected];
    const own = { connected, state, draining, channels, connections, published, rejected, refused, slow };
    return { ...own, ...metrics, resets: { ...metrics.resets } };
  }
}
