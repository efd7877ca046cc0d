import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { Inject, Injectable } from '@nestjs/common';
import type { SseGrant } from '../access/access.js';
import { Connections } from '../access/connections.js';
import { Channels } from '../channel/channels.js';
import { RESOLVED_OPTIONS, type ResolvedOptions } from '../sse.options.js';
import { Batch } from './batch.js';
import { type AnyResponse, END_MS, EventStream, HEAD, isGone } from './event-stream.js';
import { retryFrames } from './frame.js';
import { lastEventIdOf } from './last-event-id.decorator.js';
import { dueAt, OpenStreams } from './open-streams.js';
import { checkOrigin } from './origin.js';
import { Outbox } from './outbox.js';
import type { CheckedTarget } from './sse-target.js';

/** Express's request and response are Node's own; Fastify's hold them. */
export type PlatformRequest = IncomingMessage & {
  raw?: IncomingMessage;
  query: Record<string, unknown>;
  ip?: string;
};
export type PlatformResponse = AnyResponse & {
  raw?: AnyResponse;
  hijack?(): void;
  header?(name: string, value: string): void;
  getHeaders(): OutgoingHttpHeaders;
};

/** How long a head waits for the subscription: clients are to connect although the broker is out of reach. */
const HEAD_WAIT_MS = 2_000;

/** All `@SseChannel()` responses of this process. */
@Injectable()
export class EventStreams {
  readonly #open: OpenStreams<EventStream>;
  readonly #outbox = new Outbox();
  readonly #retries: readonly Batch[];
  #count = 0;

  constructor(
    private readonly channels: Channels,
    private readonly connections: Connections,
    @Inject(RESOLVED_OPTIONS) private readonly options: ResolvedOptions,
  ) {
    this.#open = new OpenStreams(options.heartbeatMs);
    this.#retries = retryFrames(options.retryMs).map((frame) => new Batch().with(frame));
  }

  /**
   * Takes a response over and streams the target through it.
   *
   * @returns when the head is on its way; a promise of it where the stream has to wait for the broker, for up to 2 s
   */
  serve(
    request: PlatformRequest,
    response: PlatformResponse,
    { channels, access, filter, askedAt, renew }: CheckedTarget & Partial<SseGrant>,
  ): Promise<void> | undefined {
    const lastEventId = lastEventIdOf(request);
    const raw = response.raw ?? response;
    if (response.raw) takeHeaders(response, raw);
    response.hijack?.();
    // While guards and pipes were at work.
    if (isGone(raw) || raw.writableEnded) return undefined;
    if (request.method === 'HEAD') {
      raw.writeHead(200, HEAD).end();
      return undefined;
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
    });
    const end = (retryMs?: number) => {
      unsubscribe();
      stream.end(retryMs);
    };
    // Express works it out from the head, each time it is asked.
    const address = this.options.limits.connectionsPerAddress < Infinity ? request.ip : undefined;
    const remove = this.connections.admit({
      channels,
      access,
      askedAt,
      renew,
      resumes: lastEventId !== undefined,
      address,
      end,
    });
    if (typeof remove === 'number') {
      stream.end(remove);
      return undefined;
    }
    const { ready, unsubscribe } = this.channels.subscribe(channels, stream, lastEventId);
    this.#open.add(stream);
    raw.once('close', () => {
      remove();
      unsubscribe();
      this.#open.delete(stream);
    });
    return raw.headersSent ? undefined : this.#beginSoon(stream, ready);
  }

  /** Refuses pages of other origins, and tells those of the list that they may read. @throws ForbiddenException */
  checkOrigin({ headers }: PlatformRequest, response: PlatformResponse): void {
    const origin = checkOrigin(headers, this.options.origins);
    if (origin === undefined) return;
    const { vary, 'access-control-allow-origin': answered } = response.getHeaders();
    if (answered !== undefined) return;
    // On Fastify, what others set comes later, and would take its place.
    const set = (name: string, value: string) =>
      response.raw ? response.header!(name, value) : response.setHeader(name, value);
    set('Access-Control-Allow-Origin', origin);
    set('Access-Control-Allow-Credentials', 'true');
    set('Vary', vary === undefined ? 'Origin' : `${vary}, Origin`);
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

/**
 * Fastify keeps the headers that others have set to itself until it answers, and checks them only then. An unfit one
 * must not go into the answer to the error that it is, either.
 */
function takeHeaders(reply: PlatformResponse, raw: ServerResponse): void {
  for (const [name, value] of Object.entries(reply.getHeaders())) {
    try {
      raw.setHeader(name, value!);
    } catch (error) {
      reply.removeHeader(name);
      throw error;
    }
  }
}
