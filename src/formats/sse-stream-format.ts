import type { HttpException } from '@nestjs/common';
import type { SseStreamEnd } from '../broker/streams.js';

/** An event of a stream, for a format. */
export interface SseFormatEvent {
  /** For the `id:` field, if clients of the format resume by Last-Event-ID. */
  readonly id: string;
  /** The type that the producer gave. */
  readonly type?: string;
  /** The data as JSON, as the producer wrote it. */
  readonly json: string;
}

/** The parts of a request that may hold a position, on Express and Fastify. */
export interface SseFormatRequest {
  /** Parameters of the query. */
  query: Record<string, unknown>;
  /** The headers, with names in lower case. */
  headers: Record<string, string | string[] | undefined>;
}

/**
 * How an `@SseStream()` route writes a stream for clients of another protocol over server-sent events.
 *
 * Such a response has nothing but what the format returns, and comments and `retry:` between it. It ends after `end()`, and only then: where a
 * connection ends before the stream does, it is cut, so that no client takes it for the end. If the broker has lost events that the client
 * needs, `end()` gets `lost`. The methods return whole blocks, at once. What they return is shared by
 * readers and may be asked for again, so it must depend on nothing but their arguments. If one throws, it is logged, and the connection is cut.
 */
export interface SseStreamFormat {
  /** Headers of the response, beside those of an event stream, which it cannot replace. */
  readonly headers?: Readonly<Record<string, string>>;
  /** The blocks before the first event. A client that resumes after the id gets all that follows. @default none */
  start?(id: string): string;
  /** The blocks of an event, as `text/event-stream`. */
  event(event: SseFormatEvent): string;
  /** The blocks after the last event. The id is empty where the stream has none for its end. */
  end(end: SseStreamEnd, id: string): string;
  /**
   * Whether `attach()` delivers a stream that has ended to a client without a last event id. With `false`, such a client gets the
   * answer of `nothing()`.
   *
   * @default true
   */
  readonly replaysEnded?: boolean;
  /**
   * The answer where there is nothing to deliver: nothing is kept of the stream, the client has all of it, or has the id of an earlier stream.
   *
   * @default 204 without a body
   */
  nothing?(): HttpException;
  /**
   * For protocols with positions of their own: which events the client of a request gets. It is called after the handler.
   *
   * @returns a predicate that is called for each event of the stream; undefined for all of them
   * @throws an exception of Nest, which answers the request
   */
  after?(request: SseFormatRequest): ((event: SseFormatEvent) => boolean) | undefined;
}
