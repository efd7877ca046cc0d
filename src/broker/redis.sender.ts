import { performance } from 'node:perf_hooks';
import type { SseError } from '../sse.errors.js';
import type { Found, Held, Route, Sending } from './redis.pending.js';
import { isFinal, missingAnswers, newPrefix, PendingPublication as Pending } from './redis.pending.js';
import type { Place } from './redis.servers.js';

/** How long a publication may take, with all attempts, in ms. */
const DEADLINE_MS = 4_500;
/** Between two attempts while Redis refuses, in ms: from the first to the last. */
const RETRY_MS = [50, 500] as const;

/** How long an answer to `find` may take to count, in ms: what was sent before it can come no more. */
const FIND_MS = 4_000;
/** Channels that are looked in at once. */
const FIND_BATCH = 200;

/**
 * Sends publications to one server in the order of the calls, also those that have to be sent again, and perhaps
 * to another one by then.
 *
 * All that is called goes out at once, without waiting for answers. When an answer is missing or is a refusal that
 * passes, nothing further is sent until everything under way has ended. Then those whose answers are missing are looked
 * for, once per channel; and what is not there goes first, in its order, one event as a probe and the rest behind it. A
 * refused event that a later one of its channel has overtaken is not sent again: it would come out of order. For the same
 * reason what names something else than what is under way waits until that is answered (`Sending.names`).
 */
export class RedisSender {
  /** Not sent, in the order of the calls. */
  #queue = new Set<Pending>();
  /** Sent and unanswered, in the order of the calls. */
  readonly #sent = new Set<Pending>();
  /** To be sent again. */
  readonly #failed = new Set<Pending>();
  /** Per channel, while there are failed ones: the latest that was executed. */
  readonly #executed = new Map<string, number>();
  #state: 'sending' | 'recovering' | 'finding' | 'probing' = 'sending';
  #attempts = 0;
  /** With the number of a publication, it tells this attempt at it from all others, and those of other processes. */
  #prefix = newPrefix();
  #count = 0;
  #retry: NodeJS.Timeout | undefined;
  #closed = false;
  /** Where what is sent, and not answered, was sent to. */
  #place: Place;
  /** What was answered last, where that was no success. */
  #refusal: Error | undefined;

  constructor(
    private readonly route: Route,
    private readonly held: Held,
  ) {
    this.#place = route.place();
  }

  get isIdle(): boolean {
    return this.#sent.size + this.#failed.size + this.#queue.size === 0;
  }

  /** @throws SseError `SSE_UNAVAILABLE` */
  publish(sending: Sending): Promise<string> {
    const pending = new Pending(sending, this.#count++);
    this.#queue.add(pending);
    this.held.count++;
    this.held.size += sending.size;
    this.flush();
    return pending.id;
  }

  /** Resolves once the fate of all that is under way is known. */
  settled(): Promise<unknown> {
    return Promise.allSettled(this.#pending.map(({ id }) => id));
  }

  /** Gives up what is under way. */
  close(): void {
    this.#closed = true;
    clearTimeout(this.#retry);
    for (const pending of this.#pending) if (!pending.settled) this.#giveUp(pending);
  }

  /** Gives up what has been under way for too long. */
  expire(): void {
    const due = performance.now() - DEADLINE_MS;
    for (const pending of this.#pending) if (pending.since <= due) this.#giveUp(pending);
  }

  /** Sends what can be sent now. */
  flush(): void {
    // What is under way comes first, wherever the channel is by now.
    if (this.#sent.size === 0) this.#place = this.route.place(this.#refusal);
    if (!this.#place.connection.ready) return;
    if (this.#state === 'sending') {
      for (const pending of this.#queue) {
        const [first] = this.#sent;
        if (first && first.sending.names !== pending.sending.names) break;
        this.#send(pending);
      }
    } else if (this.#state === 'recovering' && !this.#retry && this.#sent.size === 0) void this.#resume();
  }

  #send(pending: Pending): void {
    const { sending, number } = pending;
    const { connection } = this.#place;
    const attempt = { nonce: this.#prefix + number.toString(36), whole: !connection.knowsScripts };
    this.#queue.delete(pending);
    this.#sent.add(pending);
    // Only a script makes Redis remember it.
    if (sending.repeatable !== 'never') connection.knowsScripts = true;
    pending.sentAt = performance.now();
    sending.send(this.#place, attempt).then(
      (answer) => this.#succeed(pending, answer as string),
      (error: Error) => this.#fail(pending, error),
    );
  }

  #succeed(pending: Pending, id: string): void {
    this.#sent.delete(pending);
    this.#release(pending);
    pending.settle(id);
    if (!this.#place.asking) this.#refusal = undefined;
    if (this.#state === 'probing') this.#goOn();
    else if (this.#state === 'recovering') this.#overtake(pending);
    this.#proceed();
  }

  #fail(pending: Pending, error: Error): void {
    this.#sent.delete(pending);
    if (pending.fail(error)) {
      if (pending.settled) this.#release(pending);
      else this.#failed.add(pending);
      this.#state = 'recovering';
      // Refused before it was run, a script is not known.
      if (error.name === 'ReplyError') this.#place.connection.knowsScripts = false;
      this.#refuse(error);
    } else {
      this.#release(pending);
      this.#giveUp(pending);
      if (this.#state === 'probing') this.#goOn();
    }
    this.#proceed();
  }

  #refuse(error: Error, place = this.#place): void {
    this.#refusal = error;
    this.route.learn(error, place);
  }

  #overtake({ sending: { channel }, number }: Pending): void {
    this.#executed.set(channel, Math.max(this.#executed.get(channel) ?? -1, number));
  }

  /** Sends what waited for the last answer; or tries again after a while, if nothing is under way any more. */
  #proceed(): void {
    if (this.#state === 'sending' && this.#sent.size === 0 && this.#queue.size > 0) this.flush();
    if (this.#state !== 'recovering' || this.#retry || this.#closed) return;
    const delay = Math.min(RETRY_MS[0] * 2 ** this.#attempts++, RETRY_MS[1]) * (0.5 + Math.random());
    this.#retry = setTimeout(() => {
      this.#retry = undefined;
      this.flush();
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
      return this.#proceed();
    }
    // What is still on its way has the old one, and is refused where it was looked for.
    this.#prefix = newPrefix();
    for (const pending of this.#failed) {
      const executed = this.#executed.get(pending.sending.channel) ?? -1;
      if (!pending.unanswered && executed > pending.number) this.#giveUp(pending);
    }
    const again = [...this.#failed].toSorted((a, b) => a.number - b.number);
    this.#failed.clear();
    this.#executed.clear();
    this.#queue = new Set([...again, ...this.#queue]);
    const [probe] = this.#queue;
    if (!probe) return this.#goOn();
    this.#state = 'probing';
    this.#send(probe);
  }

  async #findUnanswered(): Promise<void> {
    const all = [...missingAnswers(this.#failed)];
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
    const place = this.#place;
    const where = { channel, prefix: this.#prefix, first: first.number, age };
    let found: Found = { cursors: new Map(), isCertain: false };
    try {
      found = await this.route.find(place, where);
      if (performance.now() - start > FIND_MS) throw new Error('It may have begun in the wrong place');
    } catch (error) {
      this.#refuse(error as Error, place);
      if (!isFinal(error as Error)) throw error;
    }
    const { cursors, isCertain } = found;
    for (const pending of pendings) this.#conclude(pending, cursors.get(pending.number), isCertain);
  }

  #conclude(pending: Pending, cursor: string | undefined, isCertain: boolean): void {
    if (cursor !== undefined) {
      this.#overtake(pending);
      this.#settle(pending, pending.sending.idOf(cursor));
    } else if (isCertain) pending.unanswered = false;
    else this.#giveUp(pending);
  }

  #goOn(): void {
    this.#state = 'sending';
    this.#attempts = 0;
    this.flush();
  }

  get #pending(): Pending[] {
    return [...this.#sent, ...this.#failed, ...this.#queue];
  }

  #release({ sending }: Pending): void {
    this.held.count--;
    this.held.size -= sending.size;
  }

  #giveUp(pending: Pending): void {
    this.#settle(pending, pending.failure(this.#place.connection, this.#sent.has(pending)));
  }

  /** What is not under way holds nothing up from then on. */
  #settle(pending: Pending, outcome: string | SseError): void {
    if (this.#queue.delete(pending) || this.#failed.delete(pending)) this.#release(pending);
    pending.settle(outcome);
  }
}
