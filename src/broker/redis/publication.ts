import { randomBytes } from 'node:crypto';
import { performance } from 'node:perf_hooks';
import { SseError } from '../../common/sse.errors.js';
import { streamError } from '../streams.js';
import type { RedisConnection } from './connection.js';
import type { Route } from './topology.js';

/** A command that publishes an event. */
export interface PublishCommand {
  readonly channel: string;
  /** In characters. */
  readonly size: number;
  /** Whether a retry is safe although Redis may have executed it: the script then refuses the second attempt. */
  readonly isRepeatable: boolean;
  send(route: Route, attempt: Attempt): Promise<unknown>;
  /** The event's public id, given its cursor. */
  idOf(cursor: string): string;
}

export interface Attempt {
  /** Name of the publisher: one for each process. */
  readonly publisher: string;
  /** Number of the publication, increasing with the calls. */
  readonly number: number;
  /** The number of its predecessor in the channel, if that is in flight: the script stores no publication before it. */
  readonly after: number | undefined;
  /** Whether to send the text of the script: the server may not have it. */
  readonly whole: boolean;
}

/** Finds a publisher's publications in the history of a channel, from the number `first` on. @returns cursors by number */
export type Find = (
  route: Route,
  where: { channel: string; publisher: string; first: number },
) => Promise<ReadonlyMap<number, string>>;

/** How many publications all queues hold, and how many characters. */
export interface Usage {
  count: number;
  size: number;
}

/** How a queue finds its server. */
export interface Routing {
  readonly publisher: string;
  /** @param refusal the last answer, if it was a refusal: it may name another server */
  route(refusal?: Error): Route;
  /** Takes note of a temporary refusal. */
  learn(refusal: Error, from: Route): void;
  readonly find: Find;
}

/**
 * Temporary refusals: scripts flushed or one running, starting, failing over, a slot migrating, no memory, disk or replicas;
 * and our script's while the predecessor is missing. Nothing was written.
 */
const TEMPORARY =
  /(^|-)(NOSCRIPT|BUSY|LOADING|READONLY|MASTERDOWN|CLUSTERDOWN|TRYAGAIN|MOVED|ASK|OOM|MISCONF|NOREPLICAS|UNORDERED)\b|access a non local key/;

/** Whether Redis has refused a command, and would do so again. */
export const isFinal = ({ name, message }: Error): boolean =>
  name === 'ReplyError' && !TEMPORARY.test(message);

/** Whether Redis has refused a command, and a retry may succeed. */
export const isTemporary = (error: Error): boolean => error.name === 'ReplyError' && !isFinal(error);

/** Whether the script has stored this publication, or a later one, before. */
export const isRepeated = ({ name, message }: Error): boolean =>
  name === 'ReplyError' && message.startsWith('REPEATED');

/** A random name for a publisher, of 48 bits. */
export const newPublisher = () => randomBytes(6).toString('base64url');

/** A publication from the call of `publish()` until its outcome is known and nothing of it is in flight. */
export class PendingPublication {
  /**
   * - `waiting`: to be sent, for the first time or again.
   * - `sent`: in flight.
   * - `stored`: an earlier attempt has stored it; its id is not known yet.
   * - `answered`: its outcome is known.
   */
  state: 'waiting' | 'sent' | 'stored' | 'answered' = 'waiting';
  /** The event's public id. */
  readonly id: Promise<string>;
  readonly since = performance.now();
  /** Whether an attempt got no answer: then the event may have been published. */
  unanswered = false;
  /** Why the last attempt failed. */
  error: Error | undefined;
  settled = false;
  #resolve!: (id: string) => void;
  #reject!: (error: SseError) => void;

  /** @param number counts up with the calls */
  constructor(
    readonly command: PublishCommand,
    readonly number: number,
  ) {
    this.id = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  /** An attempt has failed. @returns whether it may be sent again */
  fail(error: Error): boolean {
    this.error = error;
    const refused = error.name === 'ReplyError';
    const wasSent = refused || !error.message.startsWith('Stream isn');
    this.unanswered ||= wasSent && !refused;
    return refused ? !isFinal(error) : !wasSent || this.command.isRepeatable;
  }

  /** The error for a publication whose id is not known. @param isSent whether it is in flight */
  failure(connection: RedisConnection, isSent: boolean): SseError {
    const { error: cause, unanswered } = this;
    if (cause?.message.startsWith('STREAM')) return streamError(this.command.channel);
    const mayBePublished = unanswered || isSent;
    if (!cause && !mayBePublished) return connection.unreachable();
    const refused = cause?.name === 'ReplyError';
    const what = refused ? `refused: ${cause.message}` : `did not answer: ${connection.reason}`;
    return new SseError('SSE_UNAVAILABLE', `Redis ${what}`, { cause, mayBePublished });
  }

  /** @param outcome its id or an error; only the first outcome counts */
  settle(outcome: string | SseError): void {
    this.settled = true;
    if (typeof outcome === 'string') this.#resolve(outcome);
    else this.#reject(outcome);
  }
}
