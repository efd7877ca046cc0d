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
  /**
   * What it names, where others on its way may be refused while it is not: in a cluster, as a slot moves. What names something
   * else waits until they are answered, and so does not overtake them.
   */
  readonly names: string;
  /** Whether it may be sent again after it may have been executed: then it is looked for, or has a key of its own. */
  readonly repeatable: 'never' | 'if not found' | 'always';
  /** Writes the command. `whole`: nothing is known of what the server on this connection knows. */
  send(place: Place, attempt: { nonce: string; whole: boolean }): Promise<unknown>;
  /** The event's public id, from its place. */
  idOf(cursor: string): string;
}

/** What `find` has found: places by number; `isCertain`: whatever is not among them has not been executed. */
export interface Found {
  readonly cursors: ReadonlyMap<number, string>;
  readonly isCertain: boolean;
}

/**
 * Looks in a channel for publications that were sent under a prefix, from the number `first` on, at most `age` ms ago; and
 * sees to it that what is still on its way under that prefix is refused.
 */
export type Find = (
  place: Place,
  where: { channel: string; prefix: string; first: number; age: number },
) => Promise<Found>;

/** How many publications are under way, of all senders, and how many characters they hold. */
export interface Held {
  count: number;
  size: number;
}

/** What a sender sends over. */
export interface Route {
  /** Where to, after what was answered last. */
  place(refusal?: Error): Place;
  /** Is told what was refused for a while. */
  learn(refusal: Error, from: Place): void;
  readonly find: Find;
}

/** Refusals that pass by themselves: scripts forgotten or one running, starting, failing over, moving. Nothing was written. */
const PASSING =
  /(^|-)(NOSCRIPT|BUSY|LOADING|READONLY|MASTERDOWN|CLUSTERDOWN|TRYAGAIN|MOVED|ASK)\b|access a non local key/;

/** Whether Redis has refused a command, and would do so again. */
export const isFinal = ({ name, message }: Error): boolean => name === 'ReplyError' && !PASSING.test(message);

/** Whether Redis has refused a command, and that passes. */
export const isPassing = (error: Error): boolean => error.name === 'ReplyError' && !isFinal(error);

/** What starts the nonces of a publisher's attempts: 48 bits, so that no two are the same. */
export const newPrefix = () => randomBytes(6).toString('base64url');

/** A publication from its call until its promise is settled. */
export class PendingPublication {
  /** The event's public id. */
  readonly id: Promise<string>;
  readonly since = performance.now();
  /** When it was last sent: what was sent before has been looked for, and is not there. */
  sentAt: number | undefined;
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
    return refused ? !isFinal(error) : !wasSent || this.sending.repeatable !== 'never';
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

/** Those that may have been executed, and can be looked for, by channel. */
export function missingAnswers(pendings: Iterable<PendingPublication>): Map<string, PendingPublication[]> {
  const channels = new Map<string, PendingPublication[]>();
  for (const pending of pendings) {
    const { channel, repeatable } = pending.sending;
    if (!pending.unanswered || repeatable !== 'if not found') continue;
    if (channels.has(channel)) channels.get(channel)!.push(pending);
    else channels.set(channel, [pending]);
  }
  return channels;
}
