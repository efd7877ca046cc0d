import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { SseError } from '../sse.errors.js';
import { closedError } from './broker.js';
import type { RedisConnection } from './redis.connection.js';
import type { Find, Found, Sending } from './redis.pending.js';
import { isFinal, newPrefix, PendingPublication as Pending } from './redis.pending.js';

/** How long a publication may take, with all attempts, in ms. */
const DEADLINE_MS = 4_500;
/** How many publications may be under way at once, and how much they may hold: an outage must not fill the memory. */
const MAX_PENDING = 100_000;
const MAX_PENDING_SIZE = 67_108_864;
/** How long what is under way is waited for at the end, in ms. */
const CLOSE_MS = 2_000;
/** Between two attempts while Redis refuses, in ms: from the first to the last. */
const RETRY_MS = [50, 500] as const;

/** How long an answer to `find` may take to count, in ms: what was sent before it can come no more. */
const FIND_MS = 4_000;
/** Channels that are looked in at the same time. */
const FIND_BATCH = 200;

/**
 * Sends publications over one connection in the order of the calls, also those that have to be sent again.
 *
 * All that is called goes out at once, without waiting for answers. When an answer is missing or is a refusal that
 * passes, nothing further is sent until everything under way has ended. Then those whose answers are missing are looked
 * for, once per channel; and what is not there goes first, in its order, one event as a probe and the rest behind it. A
 * refused event that a later one of its channel has overtaken is not sent again: it would come out of order.
 */
export class RedisPublisher {
  /** Not sent, in the order of the calls. */
  #queue = new Set<Pending>();
  /** Sent and unanswered, in the order of the calls. */
  readonly #sent = new Set<Pending>();
  /** To be sent again. */
  #failed: Pending[] = [];
  /** Per channel, while there are failed ones: the latest that was executed. */
  readonly #executed = new Map<string, number>();
  #state: 'sending' | 'recovering' | 'finding' | 'probing' = 'sending';
  #attempts = 0;
  #whole = true;
  /** With the number of a publication, it tells this attempt at it from all others, and those of other processes. */
  #prefix = newPrefix();
  #count = 0;
  #size = 0;
  #sweep: NodeJS.Timeout | undefined;
  #retry: NodeJS.Timeout | undefined;
  #closing = false;
  #closed = false;

  constructor(
    private readonly connection: RedisConnection,
    private readonly find: Find,
  ) {
    connection.client.on('close', () => (this.#whole = true));
    connection.client.on('ready', () => this.#flush());
  }

  /** @throws SseError `SSE_UNAVAILABLE` */
  publish(sending: Sending): Promise<string> {
    if (this.#closing) return Promise.reject(closedError());
    const count = this.#queue.size + this.#sent.size + this.#failed.length;
    if (count >= MAX_PENDING || this.#size + sending.size > MAX_PENDING_SIZE) {
      const message = `More than ${MAX_PENDING} events or ${MAX_PENDING_SIZE} bytes are waiting to be published: await publish()`;
      return Promise.reject(new SseError('SSE_UNAVAILABLE', message));
    }
    const pending = new Pending(sending, this.#count++);
    this.#queue.add(pending);
    this.#size += sending.size;
    this.#sweep ??= setInterval(() => this.#expire(), 250).unref();
    this.#flush();
    return pending.id;
  }

  /** Takes nothing more. What is under way has 2 s to be confirmed, with further attempts where it takes them. */
  async close(): Promise<void> {
    this.#closing = true;
    const all = [...this.#sent, ...this.#failed, ...this.#queue];
    const answered = Promise.allSettled(all.map(({ id }) => id));
    await Promise.race([answered, sleep(CLOSE_MS, undefined, { ref: false })]);
    this.#closed = true;
    clearTimeout(this.#retry);
    clearInterval(this.#sweep);
    for (const pending of all.filter(({ settled }) => !settled)) this.#giveUp(pending);
  }

  #flush(): void {
    if (!this.connection.ready) return;
    if (this.#state === 'sending') for (const pending of this.#queue) this.#send(pending);
    else if (this.#state === 'recovering' && !this.#retry && this.#sent.size === 0) void this.#resume();
  }

  #send(pending: Pending): void {
    const { sending, number } = pending;
    const attempt = { nonce: this.#prefix + number.toString(36), whole: this.#whole };
    this.#queue.delete(pending);
    this.#sent.add(pending);
    // Only a script makes Redis remember it.
    if (sending.repeatable !== 'never') this.#whole = false;
    pending.sentAt = performance.now();
    sending.send(this.connection.client, attempt).then(
      (answer) => this.#succeed(pending, answer as string),
      (error: Error) => this.#fail(pending, error),
    );
  }

  #succeed(pending: Pending, id: string): void {
    this.#sent.delete(pending);
    this.#size -= pending.sending.size;
    pending.settle(id);
    if (this.#state === 'probing') this.#goOn();
    else if (this.#state === 'recovering') this.#overtake(pending);
    this.#recover();
  }

  #fail(pending: Pending, error: Error): void {
    this.#sent.delete(pending);
    if (pending.fail(error) && !this.#closed) {
      this.#failed.push(pending);
      this.#state = 'recovering';
    } else {
      this.#size -= pending.sending.size;
      this.#giveUp(pending);
      if (this.#state === 'probing') this.#goOn();
    }
    this.#recover();
  }

  #overtake({ sending, number }: Pending): void {
    const latest = this.#executed.get(sending.channel) ?? -1;
    this.#executed.set(sending.channel, Math.max(latest, number));
  }

  /** Tries again after a while, if nothing is under way any more; else when that has ended. */
  #recover(): void {
    if (this.#state !== 'recovering' || this.#retry || this.#closed) return;
    const delay = Math.min(RETRY_MS[0] * 2 ** this.#attempts++, RETRY_MS[1]) * (0.5 + Math.random());
    this.#retry = setTimeout(() => {
      this.#retry = undefined;
      this.#flush();
    }, delay).unref();
  }

  /** Looks for what is unanswered, and puts what is to be sent again in front, in the order of the calls. */
  async #resume(): Promise<void> {
    this.#state = 'finding';
    try {
      await this.#findUnanswered();
    } catch {
      // The connection broke again, or Redis refuses for a while.
      this.#state = 'recovering';
      return this.#recover();
    }
    // What is still on its way has the old one, and is refused where it was looked for.
    this.#prefix = newPrefix();
    const again = this.#failed.filter((pending) => {
      const executed = this.#executed.get(pending.sending.channel) ?? -1;
      if (!pending.unanswered && executed > pending.number) this.#giveUp(pending);
      if (pending.settled) this.#size -= pending.sending.size;
      return !pending.settled && !this.#closed;
    });
    this.#failed = [];
    this.#executed.clear();
    this.#queue = new Set([...again.toSorted((a, b) => a.number - b.number), ...this.#queue]);
    this.#whole = true;
    const [probe] = this.#queue;
    if (!probe) return this.#goOn();
    this.#state = 'probing';
    this.#send(probe);
  }

  async #findUnanswered(): Promise<void> {
    const channels = new Map<string, Pending[]>();
    for (const pending of this.#failed) {
      if (pending.settled || !pending.unanswered || pending.sending.repeatable !== 'if not found') continue;
      const { channel } = pending.sending;
      if (channels.has(channel)) channels.get(channel)!.push(pending);
      else channels.set(channel, [pending]);
    }
    const all = [...channels];
    for (let n = 0; n < all.length; n += FIND_BATCH) {
      const batch = all.slice(n, n + FIND_BATCH).map((each) => this.#findIn(...each));
      // All have to end before the next is tried, whatever becomes of one.
      const failed = (await Promise.allSettled(batch)).find(({ status }) => status === 'rejected');
      if (failed) throw (failed as PromiseRejectedResult).reason;
    }
  }

  async #findIn(channel: string, pendings: readonly Pending[]): Promise<void> {
    if (pendings.every(({ settled }) => settled)) return;
    const first = pendings.reduce((a, b) => (a.number < b.number ? a : b));
    const start = performance.now();
    const age = Math.ceil(start - first.sentAt!) + FIND_MS;
    const where = { channel, prefix: this.#prefix, first: first.number, age };
    let found: Found = { cursors: new Map(), isCertain: false };
    try {
      found = await this.find(this.connection.client, where);
      if (performance.now() - start > FIND_MS) throw new Error('It may have begun in the wrong place');
    } catch (error) {
      if (!isFinal(error as Error)) throw error;
    }
    for (const pending of pendings)
      this.#conclude(pending, found.cursors.get(pending.number), found.isCertain);
  }

  #conclude(pending: Pending, cursor: string | undefined, isCertain: boolean): void {
    if (cursor !== undefined) {
      this.#overtake(pending);
      pending.settle(pending.sending.idOf(cursor));
    } else if (isCertain) {
      pending.unanswered = false;
    } else {
      this.#giveUp(pending);
    }
  }

  #goOn(): void {
    this.#state = 'sending';
    this.#attempts = 0;
    this.#flush();
  }

  #expire(): void {
    const due = performance.now() - DEADLINE_MS;
    for (const pendings of [this.#sent, this.#failed, this.#queue]) {
      for (const pending of pendings) {
        if (pending.since <= due) this.#giveUp(pending);
      }
    }
    if (this.#size > 0) return;
    clearInterval(this.#sweep);
    this.#sweep = undefined;
  }

  #giveUp(pending: Pending): void {
    if (this.#queue.delete(pending)) this.#size -= pending.sending.size;
    pending.settle(this.#errorOf(pending));
  }

  #errorOf(pending: Pending): SseError {
    const { error: cause, unanswered } = pending;
    const mayBePublished = unanswered || this.#sent.has(pending);
    if (!cause && !mayBePublished) return this.connection.unreachable();
    const refused = cause?.name === 'ReplyError';
    const what = refused ? `refused: ${cause.message}` : `did not answer: ${this.connection.reason}`;
    return new SseError('SSE_UNAVAILABLE', `Redis ${what}`, { cause, mayBePublished });
  }
}
