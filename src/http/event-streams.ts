import { setTimeout as sleep } from 'node:timers/promises';
import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import type { SseGrant } from '../access/access.js';
import { Connections } from '../access/connections.js';
import { Channels } from '../channel/channels.js';
import { FailureLog } from '../limiter.js';
import { RESOLVED_OPTIONS, type ResolvedOptions } from '../sse.options.js';
import { Batch } from './batch.js';
import { END_MS, EventStream, HEAD } from './event-stream.js';
import { retryFrames } from './frame.js';
import { lastEventIdOf } from './last-event-id.decorator.js';
import { dueAt, OpenStreams } from './open-streams.js';
import { Outbox } from './outbox.js';
import { Pipelining } from './pipelining.js';
import { isGone, type PlatformRequest, type PlatformResponse, serveViews, takeHeaders } from './platform.js';
import { sourceOf } from './source.js';
import type { CheckedTarget } from './sse-target.js';

/** How long a head waits for the subscription: clients are to connect although the broker is out of reach. */
const HEAD_WAIT_MS = 2_000;

/** All `@SseChannel()` responses of this process. */
@Injectable()
export class EventStreams implements OnModuleInit {
  readonly #open: OpenStreams<EventStream>;
  readonly #outbox = new Outbox();
  readonly #pipelining = new Pipelining();
  readonly #failures = new FailureLog();
  readonly #retries: readonly Batch[];
  #count = 0;

  constructor(
    private readonly channels: Channels,
    private readonly connections: Connections,
    @Inject(RESOLVED_OPTIONS) private readonly options: ResolvedOptions,
    private readonly host: HttpAdapterHost,
  ) {
    this.#open = new OpenStreams(options.heartbeatMs);
    this.#retries = retryFrames(options.retryMs).map((frame) => new Batch().with(frame));
  }

  onModuleInit(): void {
    if (this.host.httpAdapter) serveViews(this.host.httpAdapter);
  }

  /**
   * Takes a response over and streams the target through it.
   *
   * @returns when the response headers are on their way, for which it waits up to 2 s for the broker
   */
  async serve(
    request: PlatformRequest,
    response: PlatformResponse,
    { channels, access, filter, askedAt, renew }: CheckedTarget & Partial<SseGrant>,
  ): Promise<void> {
    const lastEventId = lastEventIdOf(request);
    const raw = response.raw ?? response;
    // While guards, pipes and interceptors were at work.
    if (isGone(raw) || raw.writableEnded) return;
    if (!(await this.#pipelining.isNext(raw))) {
      response.hijack?.();
      return;
    }
    if (response.raw && !(await takeHeaders(response, raw))) return;
    response.hijack?.();
    if (isGone(raw)) return;
    if (request.method === 'HEAD') {
      raw.writeHead(200, HEAD).end();
      return;
    }
    const number = this.#count++;
    const stream = new EventStream(raw, this.#outbox, {
      number,
      channels,
      filter,
      resumes: lastEventId !== undefined,
      retry: this.#retries[number % this.#retries.length]!,
      dueAt: dueAt(this.options.maxConnectionAgeMs),
      onCut: this.#onCut,
      failures: this.#failures,
    });
    let unsubscribe = () => {};
    let onReady = () => {};
    const ready = new Promise<void>((resolve) => (onReady = resolve));
    const remove = this.connections.admit({
      channels,
      access,
      askedAt,
      renew,
      resumes: lastEventId !== undefined,
      source: sourceOf(request),
      http2Session: raw.stream?.session,
      begin: () => {
        const subscription = this.channels.subscribe(channels, stream, lastEventId);
        ({ unsubscribe } = subscription);
        void subscription.ready.then(onReady);
      },
      end: (retryMs) => {
        unsubscribe();
        stream.end(retryMs);
      },
    });
    if (typeof remove === 'number') {
      stream.end(remove);
      return;
    }
    this.#open.add(stream);
    this.#pipelining.begin(raw, stream);
    raw.once('close', () => {
      // Without another reason, the client has closed it.
      remove(stream.endReason ?? (raw.writableEnded ? 'error' : 'client'));
      unsubscribe();
      this.#open.delete(stream);
    });
    if (!raw.headersSent) await this.#beginSoon(stream, ready);
  }

  /** Resolves when every response has ended; those whose clients do not read are cut. */
  async ended(): Promise<void> {
    const all = Array.from(this.#open, (stream) => stream.closed());
    await Promise.race([Promise.all(all), sleep(END_MS, undefined, { ref: false })]);
    for (const stream of this.#open) stream.destroy();
  }

  async #beginSoon(stream: EventStream, ready: Promise<void>): Promise<void> {
    await Promise.race([ready, stream.closed(), sleep(HEAD_WAIT_MS, undefined, { ref: false })]);
    stream.begin();
  }

  readonly #onCut = (): void => {
    this.channels.counts.cut++;
  };
}
