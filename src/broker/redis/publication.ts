import { randomBytes } from 'node:crypto';
import { performance } from 'node:perf_hooks';
import { SseError } from '../../common/sse.errors.js';
import { streamError } from '../streams.js';
import type { RedisConnection } from './connection.js';
import type { RedisScript } from './script.js';
import type { Route } from './topology.js';

/** A command that publishes one or more events of a channel. */
export interface PublishCommand<Result = string> {
  readonly channel: string;
  /** Events. Each takes a number. */
  readonly count: number;
  /** Characters of their data. */
  readonly size: number;
  /** Whether a retry is safe although Redis may have executed it: the script then refuses the second attempt. */
  readonly isRepeatable: boolean;
  /** What it calls, if it is a script. */
  readonly script?: RedisScript;
  send(route: Route, attempt: Attempt): Promise<Result>;
  /** The result, given cursors of its events by their numbers. @returns undefined if the cursors are not enough */
  resultOf(cursors: ReadonlyMap<number, string>, number: number): Result | undefined;
}

export interface Attempt {
  /** Name of the publisher: one for each process. */
  readonly publisher: string;
  /** Number of the publication, increasing with the calls; of several events, that of the first one. */
  readonly number: number;
  /** The (last) number of its predecessor in the channel, if that is in flight: the script stores no publication before it. */
  readonly after: number | undefined;
  /** Whether to send the text of the script: the server may not have it. */
  readonly whole: boolean;
}

/** Finds a publisher's publications in the history of a channel, from the number `first` on. @returns cursors by number */
export type Find = (
  route: Route,
  where: { channel: string; publisher: string; first: number },
) => Promise<ReadonlyMap<number, string>>;

/** How many events all queues hold, and how many characters. */
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

/** What the script says, for a script that reports it in another way. */
export const repeatedError = (): Error =>
  Object.assign(new Error('REPEATED: the channel has taken these events, or a later one'), {
    name: 'ReplyError',
  });

/** How long a publication that may be stored is sent again, in ms, suspensions of the process included: Redis forgets it some day. */
const SAFE_MS = 10_000;

/** A random name for a publisher, of 48 bits. */
export const newPublisher = () => randomBytes(6).toString('base64url');

/** A publication from the call of `publish()` until its outcome is known and nothing of it is in flight. */
export class PendingPublication {
  /**
   * - `waiting`: to be sent, for the first time or again.
   * - `sent`: in flight.
   * - `stored`: an earlier attempt has stored it; its result is not known yet.
   * - `answered`: its outcome is known.
   */
  state: 'waiting' | 'sent' | 'stored' | 'answered' = 'waiting';
  readonly result: Promise<unknown>;
  /** The next part of the same list: it must not be published if this part is not. */
  next: PendingPublication | undefined;
  /** Whether the part before it was given up. */
  isOrphaned = false;
  /** Whether an attempt got no answer: then it may have been published. */
  unanswered = false;
  /** Why the last attempt failed. */
  error: Error | undefined;
  settled = false;
  readonly #created = performance.now();
  #resolve!: (result: unknown) => void;
  #reject!: (error: SseError) => void;

  /**
   * @param number counts up with the events
   * @param since when it was published, by the clock of its queue
   */
  constructor(
    readonly command: PublishCommand<unknown>,
    readonly number: number,
    readonly since: number,
  ) {
    this.result = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  /** The number of its last event. */
  get last(): number {
    return this.number + this.command.count - 1;
  }

  /** An attempt has failed. @returns whether it may be sent again */
  fail(error: Error): boolean {
    this.error = error;
    const wasSent = !error.message.startsWith('Stream isn');
    this.unanswered ||= wasSent && error.name !== 'ReplyError';
    if (this.isOrphaned || isFinal(error)) return false;
    return !this.unanswered || (this.command.isRepeatable && performance.now() - this.#created < SAFE_MS);
  }

  /** The error for a publication whose result is not known. @param isSent whether it is in flight */
  failure(connection: RedisConnection, isSent: boolean): SseError {
    const { error: cause, unanswered } = this;
    if (cause?.message.startsWith('STREAM')) return streamError(this.command.channel);
    const mayBePublished = unanswered || isSent;
    if (this.isOrphaned && !mayBePublished) return orphanError();
    if (!cause && !mayBePublished) return connection.unreachable();
    const refused = cause?.name === 'ReplyError';
    const what = refused ? `refused: ${cause.message}` : `did not answer: ${connection.reason}`;
    return new SseError('SSE_UNAVAILABLE', `Redis ${what}`, { cause, mayBePublished });
  }

  /** @param outcome its result or an error; only the first outcome counts */
  settle(outcome: unknown): void {
    this.settled = true;
    if (outcome instanceof SseError) this.#reject(outcome);
    else this.#resolve(outcome);
  }
}

const orphanError = () =>
  new SseError(
    'SSE_UNAVAILABLE',
    'Not published: an earlier event of the list and channel was not confirmed',
  );

/** The publications that an earlier attempt has stored, by channel. */
export function storedIn(
  publications: Iterable<PendingPublication>,
): readonly [channel: string, stored: readonly PendingPublication[]][] {
  const channels = new Map<string, PendingPublication[]>();
  for (const publication of publications) {
    if (publication.state !== 'stored') continue;
    const stored = channels.get(publication.command.channel);
    if (stored) stored.push(publication);
    else channels.set(publication.command.channel, [publication]);
  }
  return [...channels];
}
