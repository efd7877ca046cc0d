import type { ClientRequest, IncomingMessage } from 'node:http';
import type { INestApplication } from '@nestjs/common';
import { inputError } from '../../common/sse.errors.js';
import {
  checkCollectOptions,
  checkPath,
  type CollectedEvent,
  type CollectOptions,
} from './collect-options.js';
import { send } from './collect-request.js';
import { type CollectAnswer, CollectError, listOf, showAnswer } from './collect.error.js';
import { createParser, type ParsedEvent } from '../../client/parser.js';

const TIMEOUT_MS = 4_000;
const MAX_BODY = 1_000;
const EVENT_STREAM = /^text\/event-stream\s*(;|$)/i;

/**
 * Opens an event stream of an application on a real socket, and resolves to its events, without `sse.open` and `sse.position`: after
 * `count` events, or an event for which `until` returns true, whichever is first; with neither, when the server
 * ends the response. The connection is closed in any case.
 *
 * An application that does not listen yet is started on a free port of 127.0.0.1; the caller closes it.
 *
 * @param app an application on Express or Fastify, with HTTP/1.1, also with TLS and a self-signed certificate
 * @param path the path with the query
 * @throws SseError `SSE_INPUT` for an unacceptable argument
 * @throws CollectError for another status or content type, with the status and the beginning of the body; if the response
 *   or the time limit ends before the expected events have arrived, with the received events
 * @example
 * ```ts
 * const [event] = await collect(app, '/orders/7/events', {
 *   count: 1,
 *   whenOpen: () => app.get(SseService).publish({ paid: true }, { channel: 'order:7' }),
 * });
 * ```
 */
export async function collect<T = unknown>(
  app: INestApplication,
  path: string,
  options: CollectOptions<T> = {},
): Promise<CollectedEvent<T>[]> {
  checkPath(path);
  const checked = checkCollectOptions<T>(options);
  const request = await send(app, path, checked);
  const closed = new Promise((resolve) => request.once('close', resolve));
  const collection = new Collection(`GET ${path}`, request, checked);
  const { timeoutMs = TIMEOUT_MS } = checked;
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(collection.missed(`within ${timeoutMs} ms`)), timeoutMs);
  });
  try {
    return await Promise.race([collection.run(), late]);
  } finally {
    clearTimeout(timer);
    request.destroy();
    await closed;
  }
}

/** One connection, and the events that it has received. */
class Collection<T> {
  readonly #events: CollectedEvent<T>[] = [];
  #hasBegun = false;
  #isComplete = false;
  #answer: CollectAnswer | undefined;

  constructor(
    private readonly name: string,
    private readonly request: ClientRequest,
    private readonly options: CollectOptions<T>,
  ) {}

  async run(): Promise<CollectedEvent<T>[]> {
    const response = await this.#response();
    const { statusCode, headers } = response;
    if (statusCode !== 200 || !EVENT_STREAM.test(headers['content-type'] ?? '')) {
      throw await this.#refused(response);
    }
    this.#hasBegun = true;
    const whenOpen = async () => this.options.whenOpen?.();
    await Promise.all([this.#read(response), whenOpen()]);
    return this.#events;
  }

  #response(): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      this.request.once('response', resolve);
      this.request.on('error', (cause) =>
        reject(new CollectError(`${this.name}: expected response headers, got ${cause.message}`, { cause })),
      );
    });
  }

  /** The error that names the missing events. */
  missed(when: string): CollectError {
    if (this.#answer) return this.#notAStream(this.#answer);
    const { count, until } = this.options;
    const ends = [
      count && `${count} event${count === 1 ? '' : 's'}`,
      until && 'an event that `until` accepts',
    ];
    const expected = ends.filter(Boolean).join(', or ') || 'the end of the response';
    const events = this.#events;
    let what = `expected ${expected} ${when}, got ${listOf(events)}`;
    if (!this.#hasBegun) what = `expected response headers ${when}, got none`;
    else if (this.#isComplete) what = `expected \`whenOpen\` to be done ${when}, got ${listOf(events)}`;
    return new CollectError(`${this.name}: ${what}`, { events });
  }

  /** Reads until `count`, `until` or the end. Leaving the loop closes the connection. */
  async #read(response: IncomingMessage): Promise<void> {
    const parser = createParser();
    for await (const chunk of this.#chunksOf(response)) {
      if (parser.feed(chunk).some((event) => this.#take(event))) return;
    }
    const { count, until } = this.options;
    if (count !== undefined || until) throw this.missed('before the server ended the response');
    this.#isComplete = true;
  }

  async *#chunksOf(response: IncomingMessage): AsyncGenerator<Uint8Array> {
    try {
      yield* response as AsyncIterable<Buffer>;
    } catch {
      throw this.missed('before the connection broke');
    }
  }

  /** @returns whether it is the last one */
  #take({ id, type, data: text }: ParsedEvent): boolean {
    if (type === 'sse.open' || type === 'sse.position') return false;
    const event: CollectedEvent<T> = { id, type, data: dataOf(text) as T };
    const { count, until } = this.options;
    const isLast: unknown = this.#events.push(event) === count || (until?.(event) ?? false);
    if (isLast instanceof Promise) throw inputError('until', 'a function that is not async', until);
    this.#isComplete = Boolean(isLast);
    return this.#isComplete;
  }

  async #refused(response: IncomingMessage): Promise<CollectError> {
    const { statusCode, headers } = response;
    const answer = { status: statusCode!, contentType: headers['content-type'], body: '' };
    this.#answer = answer;
    response.setEncoding('utf8');
    try {
      for await (const text of response as AsyncIterable<string>) {
        answer.body = (answer.body + text).slice(0, MAX_BODY);
        if (answer.body.length === MAX_BODY) break;
      }
    } catch {
      // The connection broke, but the status and the beginning of the body are what matters.
    }
    return this.#notAStream(answer);
  }

  #notAStream(answer: CollectAnswer): CollectError {
    const message = `${this.name}: expected 200 text/event-stream, got ${showAnswer(answer)}`;
    return new CollectError(message, { answer });
  }
}

function dataOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
