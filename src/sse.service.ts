import { AsyncResource } from 'node:async_hooks';
import { performance } from 'node:perf_hooks';
import { Inject, Injectable } from '@nestjs/common';
import { Observable } from 'rxjs';
import { ACCESS_KEYS, checkAccess, mergeGrant, type SseAccess, SseGrant } from './access/access.js';
import type { SseConnection, SseConnectionEnd } from './access/connection.js';
import { Connections } from './access/connections.js';
import type { DisconnectTarget } from './access/disconnection.js';
import { SseBroker } from './broker/broker.js';
import { type ChannelEvent, positionEvent } from './channel/channel-event.js';
import { Channels } from './channel/channels.js';
import { channelOf, checkChannels, checkPublication, DEFAULT_CHANNEL } from './event.js';
import type { PublishOptions, SseEvent } from './event.js';
import { FailureLog } from './limiter.js';
import { causeOf, checkKeys } from './sse.errors.js';
import type { SseStats } from './sse.metrics.js';
import { RESOLVED_OPTIONS, type ResolvedOptions } from './sse.options.js';

/** How a stream of events begins, and whose it is. All fields are optional. */
export interface MessagesOptions extends SseAccess {
  /** The id to go on after, as `@LastEventId()` gives it. */
  lastEventId?: string;
}

/** Publishes events to named channels, and subscribes to them. */
@Injectable()
export class SseService {
  readonly #failures = new FailureLog();
  #published = 0;
  #rejected = 0;

  constructor(
    private readonly broker: SseBroker,
    private readonly channels: Channels,
    private readonly open: Connections,
    @Inject(RESOLVED_OPTIONS) private readonly options: ResolvedOptions,
  ) {}

  /**
   * Publishes an event to everyone who is subscribed to the channel, in any process.
   *
   * Events of one process to one channel take effect in the order of the calls, also without awaiting them. Each is
   * stored and sent at once, or not at all, and once, also where the module had to try again: for 4.5 s, in which
   * up to 100,000 events or 64 MiB may wait. Cost: one script call in Redis (one PUBLISH if transient).
   *
   * @param data a string, sent as it is, or anything JSON can hold, sent as JSON, nested at most 500 levels deep
   * @returns the event's public id, once the broker has accepted it; '' for a transient event
   * @throws SseError `SSE_INPUT` for an unacceptable argument, before anything is written; `SSE_UNAVAILABLE` within
   *   5 s when the broker did not confirm (`mayBePublished` says whether it may have been published all the same)
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
      // What becomes of the figures is nothing to who publishes.
      this.#failures.error('metrics', error);
    }
  }

  /**
   * The live events of one or more channels, after what was missed since `lastEventId`, for `@Sse()` or any RxJS
   * pipeline.
   *
   * Per channel, every event that was stored after `lastEventId` comes, in order and once; or there is one `sse.reset`
   * event, with `{ channel, reason }` as data, and the stream goes on live. Transient events come if they can. The
   * observable never errors because of the broker, and completes when the application shuts down. Each subscriber of
   * it is a stream of its own; all of them share one subscription per channel and process, and the event objects.
   *
   * With several channels, ids are composite cursors that resume each channel, and no order is promised across them. If some of
   * them are unreachable for a second, the others begin. When a missing channel opens, an `sse.position` event adds it to the id.
   *
   * Cost: one SUBSCRIBE per channel and process. What was missed comes from this process's memory if it is among the
   * last 256 events and some seconds old at most, else from Redis, 100 events a read; subscribers that missed the same share the reads.
   *
   * It also completes when it is disconnected, when its credential expires, and when an authorizer no longer allows it.
   *
   * @typeParam T what the publishers send as data, which nothing checks
   * @param channel the channel or channels, or what `@GrantedChannels()` has handed out. @default 'sse'
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
      // The subscriber's context. Otherwise operators would run in the publisher's, or in that of the first subscriber.
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
      // From a query it may be anything, whatever its type says.
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
   * Ends connections, on every node, within a second, and keeps their clients from reconnecting at once: for `refuseMs` they
   * are told to come later, unless their credential is newer (`issuedAt`). Then, as ever, the route's rules decide. It does
   * not withdraw a right: withdraw that first, where the authorizers read it. What an authorizer was asked before the call
   * does not count, so its answer for a connection that is just opening is asked for again.
   *
   * Cost: one publish; a node with connections is subscribed to one channel more.
   *
   * @param target which connections: all that is given has to apply
   * @param refuseMs in ms, a whole number, 0–3,600,000; 0: clients may reconnect at once. @default 60000; 0 for a channel
   *   alone, whose other readers would be locked out
   * @returns how many connections it has ended on this node. What it has ended on others is not known, nor whether they have
   *   heard of it yet; 0 does not mean that there were none
   * @throws SseError `SSE_INPUT`; `SSE_UNAVAILABLE` as `publish()`
   */
  async disconnect(target: DisconnectTarget, options: { refuseMs?: number } = {}): Promise<number> {
    checkKeys('SSE_INPUT', 'options', options, ['refuseMs']);
    return this.open.disconnect(target, options.refuseMs);
  }

  /** The open connections of this node, a snapshot. */
  connections(): SseConnection[] {
    return this.open.list();
  }

  /**
   * Calls a listener whenever a connection opens on this node: one that was let in, just before its first event. What the
   * listener throws, or rejects with, is logged and does no harm; a promise is not waited for.
   *
   * @returns what removes the listener
   * @throws SseError `SSE_INPUT` for what is no function
   */
  onConnect(listener: (connection: SseConnection) => unknown): () => void {
    return this.open.connects.add(listener);
  }

  /**
   * The same whenever a connection that has opened on this node ends, with the reason; also for all of them when the
   * application shuts down, before `onApplicationShutdown()`. A node that is killed tells nobody.
   *
   * @returns what removes the listener
   * @throws SseError `SSE_INPUT` for what is no function
   */
  onDisconnect(listener: (connection: SseConnectionEnd) => unknown): () => void {
    return this.open.disconnects.add(listener);
  }

  /** A snapshot of this process, without any command to Redis. */
  stats(): SseStats {
    const { size: channels, streams, counts } = this.channels;
    const { connected, state } = this.broker;
    const { draining, refused } = this.open;
    const [published, rejected] = [this.#published, this.#rejected];
    const resets = { ...counts.resets };
    return { connected, state, draining, channels, streams, published, rejected, ...counts, resets, refused };
  }
}
