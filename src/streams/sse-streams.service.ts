import { setTimeout as sleep } from 'node:timers/promises';
import { Inject, Injectable } from '@nestjs/common';
import { SseBroker } from '../broker/broker.js';
import type { StreamState, StreamStore } from '../broker/streams.js';
import { Channels } from '../channel/channels.js';
import { FailureLog } from '../common/failure-log.js';
import { checkKeys, inputError, show, SseError } from '../common/sse.errors.js';
import { ACCESS_KEYS, checkAccess } from '../connections/access.js';
import { Connections } from '../connections/connections.js';
import { EventIterator } from '../connections/event-iterator.js';
import { checkRequest, type EventsOptions } from '../connections/request.js';
import { checkChannel, type SseEvent } from '../event/event.js';
import { RESOLVED_OPTIONS, type ResolvedOptions } from '../options/sse.options.js';
import { CountedStore } from './counted-store.js';
import { OwnedStream } from './owned-stream.js';
import { OwnedStreams, type StreamMetrics } from './owned-streams.js';
import { checkReason } from './reason.js';
import { describeState, type SseStreamState } from './sse-stream-state.js';
import { type SseAttachOptions, SseStreamHandle, SseStreamTarget } from './sse-stream-target.js';
import { isSource, SseStreamWriter } from './sse-stream-writer.js';
import { resolveStreamOptions, type SseStreamOptions, type SseStreamStartOptions } from './stream-options.js';
import { StreamReaders } from './stream-readers.js';

/** How long `abort()` waits for the owner: longer than a renewal of the lease takes. */
const ABORT_MS = 5_500;
/** The pauses between its questions, in ms: the first, and the longest. */
const ASK_MS = [10, 250] as const;

/**
 * Produces the events of a stream.
 *
 * @returns nothing, or an iterator, an async iterable or a `ReadableStream`, whose values are written; or a promise
 */
export type SseStreamProducer = (out: SseStreamWriter, signal: AbortSignal) => unknown;

/**
 * Streams: finite sequences of events with one producer and an end, which go on when their readers leave.
 *
 * A stream is a channel: its id has the grammar of channel names, `disconnect({ channel })` disconnects its readers, and `messages(id)` emits its
 * events. `publish()` to it is refused; transient events do not reach its readers. Its events are stored in order, each once. Its end is stored with its last events: every reader
 * on every node gets the same `sse.end`, with `{ status, reason }` as data, and nothing after it.
 */
@Injectable()
export class SseStreams {
  /** @internal */
  readonly metrics: StreamMetrics = {
    live: 0,
    started: 0,
    ended: { done: 0, error: 0, aborted: 0, lost: 0 },
  };
  readonly #failures = new FailureLog();
  readonly #store: StreamStore;
  readonly #owned: OwnedStreams;
  /** @internal */
  readonly readers: StreamReaders;

  /** @internal */
  constructor(
    broker: SseBroker,
    channels: Channels,
    private readonly connections: Connections,
    @Inject(RESOLVED_OPTIONS) private readonly options: ResolvedOptions,
  ) {
    this.#store = new CountedStore(broker.streams, () => this.metrics.ended.lost++);
    this.#owned = new OwnedStreams(broker, this.#store, this.metrics);
    this.readers = new StreamReaders(this.#store, channels);
  }

  /**
   * Starts a stream, and runs its producer detached from the request.
   *
   * The stream ends as `done` when the producer returns (what is unsent is sent first), as `error` when it throws. Pass the `signal` on: it is aborted
   * when the stream is stopped, replaced or lost (a listener of it that throws ends the process, as with any `AbortSignal`). At shutdown, producers have `drainMs`.
   *
   * Cost: one script call in Redis, one for each pack, and one every few seconds while nothing is written.
   *
   * @param id 1–200 characters, as for channels
   * @returns when the stream has started
   * @throws SseError `SSE_STREAM_LIVE` if a stream with this id is live, unless `replace` or `attach` is set; `SSE_INPUT` for a wrong argument, and for
   *   the id of a channel with events; `SSE_UNAVAILABLE`
   */
  async start(
    id: string,
    producer: SseStreamProducer,
    options: SseStreamStartOptions = {},
  ): Promise<SseStreamHandle> {
    if (typeof producer !== 'function') throw inputError('producer', 'a function', producer);
    const stream = await this.#start(id, resolveStreamOptions(options));
    if (!(stream instanceof OwnedStream)) return this.#handleOf(checkChannel(id, 'id'), stream);
    void this.#produce(producer, this.#writerOf(stream));
    const { state } = stream.ownership;
    return new SseStreamHandle(stream.id, { state, isOwn: true, end: () => stream.done });
  }

  /**
   * Starts a stream, and returns its writer: for a producer that is no function, such as a worker of a queue. The stream has to be ended
   * with `end()` or `fail()`. If the process dies, it is lost when the lease has expired.
   *
   * @throws SseError as `start()`
   */
  async open(id: string, options: SseStreamOptions = {}): Promise<SseStreamWriter> {
    const resolved = resolveStreamOptions(options);
    if ('attach' in options)
      throw inputError('attach', 'left out, as a stream has one writer', resolved.attach);
    return this.#writerOf((await this.#start(id, resolved)) as OwnedStream);
  }

  /**
   * A stream, for an `@SseStream()` handler to return. The request gets all events after its Last-Event-ID, otherwise from the first one, up
   * to the end; 204 if nothing is kept of the stream, or the client has its end.
   *
   * @param options the user and the credential of the reader, for limits and `disconnect()`, and whether the stream is going to start
   * @throws SseError `SSE_INPUT` for a wrong id or option
   */
  attach(id: string, options: SseAttachOptions = {}): SseStreamTarget {
    checkKeys('SSE_INPUT', 'options', options, ['expected', ...ACCESS_KEYS]);
    const { expected = false, ...access } = options;
    if (typeof expected !== 'boolean') throw inputError('expected', 'true or false', expected);
    return new SseStreamTarget(checkChannel(id, 'id'), checkAccess(access), expected);
  }

  /**
   * The events of a stream, for a consumer in the process: all after `lastEventId`, otherwise from the first one; then `sse.end`, and the end of the
   * iteration. A stream of which nothing is kept has no events. The iteration ends early as that of `SseService.events()` does.
   *
   * @typeParam T the type of the data, which is not checked
   * @throws SseError `SSE_INPUT`, in the call; the first `next()` rejects with `SSE_UNAVAILABLE` if the connection is refused
   */
  events<T = unknown>(
    id: string,
    options?: Omit<EventsOptions, 'from'>,
  ): AsyncIterableIterator<SseEvent<T>, undefined, undefined> {
    this.check();
    const { start, ...request } = checkRequest(checkChannel(id, 'id'), options, ['lastEventId', 'signal']);
    const [channel] = request.channels as [string];
    return new EventIterator<T>(
      (subscriber, end) => {
        let unsubscribe = () => {};
        const { lastEventId } = start;
        const begin = () => ({ unsubscribe } = this.readers.read(channel, subscriber, { lastEventId }));
        const remove = this.connections.admit({ resumes: true, begin, end, ...request });
        if (typeof remove === 'number') return undefined;
        return (reason) => {
          remove(reason);
          unsubscribe();
        };
      },
      true,
      options?.signal,
    );
  }

  /**
   * The state of a stream, the same on all nodes. Cost: one script call in Redis.
   *
   * @throws SseError `SSE_INPUT` for a wrong id; `SSE_UNAVAILABLE`
   */
  async status(id: string): Promise<SseStreamState> {
    this.check();
    return describeState(await this.#store.look(checkChannel(id, 'id'), false));
  }

  /**
   * Stops a stream, on whatever node its producer is: the stream ends as `aborted`, and the producer's `signal` is aborted.
   *
   * Cost: one script call in Redis, one publication, and some further script calls until the owner has answered.
   *
   * @param reason what clients see, 1–200 characters. @default 'user'
   * @returns `stopped` if the owner has ended it for this request; `requested` if the owner has not answered within 5.5 s: it gets
   *   the request with its next renewal; `ended` if the stream had ended before, or ends in another way; `missing`
   * @throws SseError `SSE_INPUT` for a wrong argument; `SSE_UNAVAILABLE`
   */
  async abort(id: string, reason = 'user'): Promise<'stopped' | 'requested' | 'ended' | 'missing'> {
    this.check();
    const channel = checkChannel(id, 'id');
    const asked = await this.#store.abort(channel, checkReason(reason));
    if (!asked) return 'missing';
    if (asked.end) return 'ended';
    this.#owned.tell(asked);
    const until = performance.now() + ABORT_MS;
    for (let pause: number = ASK_MS[0]; performance.now() < until; pause = Math.min(2 * pause, ASK_MS[1])) {
      await sleep(pause);
      const state = await this.#store.look(channel, false).catch(() => asked);
      if (state?.generation !== asked.generation) return 'ended';
      if (!state.end) continue;
      const isStopped = state.end.status === 'aborted' && state.end.reason === asked.abort;
      return isStopped ? 'stopped' : 'ended';
    }
    return 'requested';
  }

  /** @internal */
  drain(waitMs: number): Promise<void> {
    return this.#owned.drain(waitMs);
  }

  async #start(
    id: string,
    options: ReturnType<typeof resolveStreamOptions>,
  ): Promise<OwnedStream | StreamState> {
    this.check();
    const stream = await this.#owned.start(checkChannel(id, 'id'), options);
    if (stream instanceof OwnedStream || options.attach) return stream;
    throw new SseError(
      'SSE_STREAM_LIVE',
      `Stream ${show(id)} is live: stop it, or use \`replace\` or \`attach\``,
    );
  }

  #writerOf(stream: OwnedStream): SseStreamWriter {
    return new SseStreamWriter(stream, this.options.maxPayloadBytes, this.#failures);
  }

  async #produce(producer: SseStreamProducer, out: SseStreamWriter): Promise<void> {
    try {
      const result: unknown = await producer(out, out.signal);
      // A generator function runs only when its values are read.
      if (isSource(result)) await out.pipe(result);
      else if (typeof (result as { subscribe?: unknown } | undefined)?.subscribe === 'function') {
        throw new SseError(
          'SSE_INPUT',
          'Expected no Observable from a producer: write its values as it emits them',
        );
      }
      void out.end();
    } catch (error) {
      void out.fail(error);
    }
  }

  /** A handle of a stream that another call has started. */
  #handleOf(id: string, state: StreamState): SseStreamHandle {
    return new SseStreamHandle(id, { state, isOwn: false, end: () => this.readers.endOf(id, state) });
  }

  /** @internal */
  check(): void {
    if (this.options.history !== false) return;
    throw new SseError('SSE_OPTIONS', 'SseModule: streams need the option `history`');
  }
}
