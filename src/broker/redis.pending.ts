import { randomBytes } from 'node:crypto';
import { performance } from 'node:perf_hooks';
import { SseError } from '../sse.errors.js';
import type { RedisConnection } from './redis.connection.js';
import type { Place } from './redis.servers.js';

/** What is to be sent: a command that publishes an event. */
export interface Sending {
  readonly channel: string;
  /** Characters it holds. */
  readonly size: number;
  /** Whether a retry is safe although Redis may have executed it: the script then refuses the second attempt. */
  readonly isRepeatable: boolean;
  /** Writes the command. */
  send(place: Place, attempt: Attempt): Promise<unknown>;
  /** The event's public id, from its place. */
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
  place: Place,
  where: { channel: string; publisher: string; first: number },
) => Promise<ReadonlyMap<number, string>>;

/** How many publications are under way, of all senders, and how many characters they hold. */
export interface Held {
  count: number;
  size: number;
}

/** The publisher's name, and the servers that a sender uses. */
export interface Route {
  readonly publisher: string;
  /** Where to, after what was answered last. */
  place(refusal?: Error): Place;
  /** Is told what was refused for a while. */
  learn(refusal: Error, from: Place): void;
  readonly find: Find;
}

/**
 * Refusals that pass by themselves: scripts forgotten or one running, starting, failing over, moving, out of memory, disk or
 * replicas; and that of our script while the publication before is missing. Nothing was written.
 */
const PASSING =
  /(^|-)(NOSCRIPT|BUSY|LOADING|READONLY|MASTERDOWN|CLUSTERDOWN|TRYAGAIN|MOVED|ASK|OOM|MISCONF|NOREPLICAS|UNORDERED)\b|access a non local key/;

/** Whether Redis has refused a command, and would do so again. */
export const isFinal = ({ name, message }: Error): boolean => name === 'ReplyError' && !PASSING.test(message);

/** Whether Redis has refused a command, and that passes. */
export const isPassing = (error: Error): boolean => error.name === 'ReplyError' && !isFinal(error);

/** Whether the script has stored this publication, or a later one, before. */
export const isRepeated = ({ name, message }: Error): boolean =>
  name === 'ReplyError' && message.startsWith('REPEATED');

/** A random name for a publisher, of 48 bits. */
export const newPublisher = () => randomBytes(6).toString('base64url');

/** A publication from its call until its promise is settled. */
export class PendingPublication {
  /** The event's public id. */
  readonly id: Promise<string>;
  readonly since = performance.now();
  /** Whether the answer to an attempt is missing: then it may have been published. */
  unanswered = false;
  /** Why the last attempt failed. */
  error: Error | undefined;
  settled = false;
  #resolve!: (id: string) => void;
  #reject!: (error: SseError) => void;

  /** @param number counts up with the calls */
  constructor(
    readonly sending: Sending,
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
    return refused ? !isFinal(error) : !wasSent || this.sending.isRepeatable;
  }

  /** What is said of it where its id is not known. @param isSent whether the answer to an attempt may still come */
  failure(connection: RedisConnection, isSent: boolean): SseError {
    const { error: cause, unanswered } = this;
    const mayBePublished = unanswered || isSent;
    if (!cause && !mayBePublished) return connection.unreachable();
    const refused = cause?.name === 'ReplyError';
    const what = refused ? `refused: ${cause.message}` : `did not answer: ${connection.reason}`;
    return new SseError('SSE_UNAVAILABLE', `Redis ${what}`, { cause, mayBePublished });
  }

  /** With its id or an error; only the first outcome counts. */
  settle(outcome: string | SseError): void {
    this.settled = true;
    if (typeof outcome === 'string') this.#resolve(outcome);
    else this.#reject(outcome);
  }
}
