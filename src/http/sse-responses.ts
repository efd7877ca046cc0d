import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { Connections } from '../connections/connections.js';
import { Channels } from '../channel/channels.js';
import { FailureLog } from '../common/failure-log.js';
import { RESOLVED_OPTIONS, type ResolvedOptions } from '../options/sse.options.js';
import { type Batch, SharedBatch } from './batch.js';
import { type Encoding, encodingOf } from './compression.js';
import { FormattedResponse } from './formatted-response.js';
import { firstFrames } from './frame.js';
import { idleListeners } from './idle-listeners.js';
import { lastEventIdOf } from './last-event-id.js';
import { Outbox } from './outbox.js';
import { Pipelining } from './pipelining.js';
import {
  type AnyResponse,
  isGone,
  type PlatformRequest,
  type PlatformResponse,
  serveViews,
  takeHeaders,
} from './platform.js';
import { sourceOf } from './source.js';
import { ResponseConnection, type ResponseTarget } from './response-connection.js';
import { HEADERS } from './response-writer.js';
import { SseResponse } from './sse-response.js';
import type { IsIdle } from './writer.js';

/** How long the response headers wait for the subscription: clients connect even while the broker is unreachable. */
const HEADERS_WAIT_MS = 2_000;

/** Resolves when the response headers of a connection are to be sent. */
async function readyOf(connection: ResponseConnection): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  await new Promise<void>((resolve) => {
    connection.onReady = resolve;
    timer = setTimeout(resolve, HEADERS_WAIT_MS).unref();
  });
  clearTimeout(timer);
  connection.onReady = undefined;
}

/** Turns HTTP responses into connections. */
@Injectable()
export class SseResponses implements OnModuleInit {
  readonly #outboxes = new Map<number, Outbox>();
  readonly #pipelining = new Pipelining();
  readonly #failures = new FailureLog();
  readonly #first: readonly Batch[];
  #count = 0;
  #isIdle: IsIdle | undefined;

  constructor(
    private readonly channels: Channels,
    private readonly connections: Connections,
    @Inject(RESOLVED_OPTIONS) private readonly options: ResolvedOptions,
    private readonly host: HttpAdapterHost,
  ) {
    const { retryMs, heartbeatMs } = options;
    this.#first = firstFrames(retryMs, heartbeatMs).map((frame) => new SharedBatch().with(frame));
  }

  onModuleInit(): void {
    const { httpAdapter } = this.host;
    if (httpAdapter) serveViews(httpAdapter);
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
    const own = target.formatting?.frames.format.headers;
    const encoding = encodingOf(this.options.compression, request, response, own);
    if (request.method === 'HEAD') {
      raw.writeHead(200, { ...HEADERS, ...encoding.headers }).end();
      return;
    }
    const sse = this.#responseOf(raw, target, encoding, lastEventId !== undefined);
    const connection = new ResponseConnection(sse, target, {
      lastEventId,
      source: sourceOf(request),
      http2Session: raw.stream?.session,
      channels: this.channels,
    });
    const remove = this.connections.admit(connection);
    if (typeof remove === 'number') {
      sse.end(remove);
      return;
    }
    connection.remove = remove;
    this.#pipelining.begin(raw, sse);
    if (!raw.headersSent && !sse.isOver) {
      await readyOf(connection);
      sse.begin();
    }
    // The connection of a stream serves other requests after it.
    if (!target.subscribe) setImmediate(() => this.#release(raw, sse));
  }

  // oxlint-disable-next-line max-params -- all of it is known to its only caller
  #responseOf(raw: AnyResponse, target: ResponseTarget, encoding: Encoding, resumes: boolean): SseResponse {
    const { channels, filter, formatting } = target;
    const options = {
      channels,
      filter,
      resumes,
      first: this.#first[this.#count++ % this.#first.length]!,
      failures: this.#failures,
      ...encoding,
    };
    const outbox = this.#outboxOf(target.writeIntervalMs);
    return formatting
      ? new FormattedResponse(raw, outbox, options, formatting)
      : new SseResponse(raw, outbox, options);
  }

  #release(raw: AnyResponse, sse: SseResponse): void {
    const { socket } = raw;
    if (!socket || this.#pipelining.hasQueued(socket)) return;
    this.#isIdle ??= idleListeners(this.host.httpAdapter);
    if (sse.release(this.#isIdle)) this.#pipelining.end(socket);
  }

  /** The outbox of all responses with an interval, so that they share batches and a timer. */
  #outboxOf(intervalMs = this.options.writeIntervalMs): Outbox {
    const outbox = this.#outboxes.get(intervalMs) ?? new Outbox(intervalMs);
    this.#outboxes.set(intervalMs, outbox);
    return outbox;
  }
}
