import { setTimeout as sleep } from 'node:timers/promises';
import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import type { SseGrant } from '../connections/access.js';
import { Connections } from '../connections/connections.js';
import { Channels } from '../channel/channels.js';
import type { Subscriber } from '../channel/subscribers.js';
import { FailureLog } from '../common/failure-log.js';
import { RESOLVED_OPTIONS, type ResolvedOptions } from '../options/sse.options.js';
import { Batch } from './batch.js';
import { encodingOf } from './compression.js';
import type { EventFilter } from './event-filter.js';
import { FormattedResponse, type Formatting } from './formatted-response.js';
import { firstFrames } from './frame.js';
import { lastEventIdOf } from './last-event-id.js';
import { Outbox } from './outbox.js';
import { Pipelining } from './pipelining.js';
import { isGone, type PlatformRequest, type PlatformResponse, serveViews, takeHeaders } from './platform.js';
import { sourceOf } from './source.js';
import { HEADERS, SseResponse } from './sse-response.js';

/** How long the response headers wait for the subscription: clients connect even while the broker is unreachable. */
const HEADERS_WAIT_MS = 2_000;

/** The subscription of a response. */
export interface SubscribedResponse {
  /** Resolves when the response headers may be sent. */
  readonly ready: Promise<void>;
  readonly unsubscribe: () => void;
}

/** What a response delivers, and to which client. */
export interface ResponseTarget extends Pick<SseGrant, 'channels' | 'access' | 'renew'> {
  readonly filter?: EventFilter;
  /** How many of the newest events it begins with in channels in which the client has no position. @default 0 */
  readonly newest?: number;
  /** Subscribes the response, in place of the channels: to a stream. */
  subscribe?(subscriber: Subscriber): SubscribedResponse;
  /** When the permission was asked for. @default now */
  readonly askedAt?: number;
  /** How its events are written, if not as ordinary server-sent events. */
  readonly formatting?: Formatting;
}

/** Turns HTTP responses into connections. */
@Injectable()
export class SseResponses implements OnModuleInit {
  readonly #outbox = new Outbox();
  readonly #pipelining = new Pipelining();
  readonly #failures = new FailureLog();
  readonly #first: readonly Batch[];
  #count = 0;

  constructor(
    private readonly channels: Channels,
    private readonly connections: Connections,
    @Inject(RESOLVED_OPTIONS) private readonly settings: ResolvedOptions,
    private readonly host: HttpAdapterHost,
  ) {
    const { retryMs, heartbeatMs } = settings;
    this.#first = firstFrames(retryMs, heartbeatMs).map((frame) => new Batch().with(frame));
  }

  onModuleInit(): void {
    if (this.host.httpAdapter) serveViews(this.host.httpAdapter);
  }

  /** Resolves when a connection to the channels can begin at once; after 2 s, or when the client has left. */
  async prepare(response: PlatformResponse, channels: readonly string[]): Promise<void> {
    const raw = response.raw ?? response;
    const over = new AbortController();
    const end = () => over.abort();
    raw.once('close', end);
    const timer = setTimeout(end, HEADERS_WAIT_MS).unref();
    if (!isGone(raw)) await this.connections.prepare(channels, over.signal);
    clearTimeout(timer);
    raw.off('close', end);
  }

  /** Answers that there is nothing to deliver: an `EventSource` does not reconnect after it. */
  answerNothing(response: PlatformResponse): unknown {
    const { httpAdapter } = this.host;
    httpAdapter.setHeader(response, 'Cache-Control', 'no-store');
    return httpAdapter.reply(response, undefined, 204);
  }

  /** @throws SseError `SSE_INPUT` for a target that begins with stored events where none are stored */
  check({ newest }: ResponseTarget): void {
    this.channels.checkNewest(newest);
  }

  /**
   * Delivers the events of a target through a response.
   *
   * @returns when the response headers are sent, which wait up to 2 s for the broker
   */
  async serve(request: PlatformRequest, response: PlatformResponse, target: ResponseTarget): Promise<void> {
    const { channels, access, filter, newest, askedAt, renew, formatting } = target;
    const lastEventId = lastEventIdOf(request);
    const raw = response.raw ?? response;
    // The client may have left while guards, pipes and interceptors ran.
    if (isGone(raw) || raw.writableEnded) return;
    if (!(await this.#pipelining.isNext(raw))) {
      response.hijack?.();
      return;
    }
    if (response.raw && !(await takeHeaders(response, raw))) return;
    response.hijack?.();
    if (isGone(raw)) return;
    const { compression } = this.settings;
    const { headers, gzip } = encodingOf(compression, request, response, formatting?.frames.format.headers);
    if (request.method === 'HEAD') {
      raw.writeHead(200, { ...HEADERS, ...headers }).end();
      return;
    }
    const resumes = lastEventId !== undefined;
    const options = {
      channels,
      filter,
      resumes,
      first: this.#first[this.#count++ % this.#first.length]!,
      failures: this.#failures,
      headers,
      gzip,
    };
    const sse = formatting
      ? new FormattedResponse(raw, this.#outbox, options, formatting)
      : new SseResponse(raw, this.#outbox, options);
    let unsubscribe = () => {};
    let onReady = () => {};
    const ready = new Promise<void>((resolve) => (onReady = resolve));
    const remove = this.connections.admit({
      channels,
      access,
      askedAt,
      renew,
      // Either may cost a read for each channel.
      resumes: resumes || Number(newest) > 0 || target.subscribe !== undefined,
      source: sourceOf(request),
      http2Session: raw.stream?.session,
      response: sse,
      begin: () => {
        const subscription =
          target.subscribe?.(sse) ?? this.channels.subscribe(channels, sse, { lastEventId, newest });
        ({ unsubscribe } = subscription);
        void subscription.ready.then(onReady);
      },
      end: (retryMs) => {
        unsubscribe();
        sse.end(retryMs);
      },
    });
    if (typeof remove === 'number') {
      sse.end(remove);
      return;
    }
    this.#pipelining.begin(raw, sse);
    raw.once('close', () => {
      // Without another reason, the client has closed it.
      remove(sse.endReason ?? (raw.writableEnded ? 'error' : 'client'));
      unsubscribe();
    });
    if (raw.headersSent) return;
    await Promise.race([ready, sse.closed(), sleep(HEADERS_WAIT_MS, undefined, { ref: false })]);
    sse.begin();
  }
}
