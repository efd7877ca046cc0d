import { performance } from 'node:perf_hooks';
import type { SseError } from '../sse.errors.js';
import type { Held, Route, Sending } from './redis.pending.js';
import { isFinal, isRepeated, PendingPublication as Pending } from './redis.pending.js';
import type { Place } from './redis.servers.js';

/** How long a publication may take, with all attempts, in ms. */
const DEADLINE_MS = 4_500;
/** Between two attempts while Redis refuses, in ms: from the first to the last. */
const RETRY_MS = [50, 500] as const;
/** How long REPEATED answers are collected before one search for all their ids, in ms. */
const GATHER_MS = 10;
/** Channels that are looked in at once. */
const FIND_BATCH = 200;

/**
 * Sends publications to one server in call order. A retry may go to another server.
 *
 * Publications leave at once, without waiting for answers. When an answer is missing or is a refusal that passes, the sender
 * waits until nothing is in flight. Then it sends the first failed publication alone, as a probe, and the rest behind it in
 * call order. The script stores each publication once, and none before its predecessor in the channel. If the script has stored
 * a publication before, the sender looks for its id in the history.
 */
export class RedisSender {
  /** Not sent, in the order of the calls. */
  #queue = new Set<Pending>();
  /** Sent and unanswered, in the order of the calls. */
  readonly #sent = new Set<Pending>();
  /** The last publication in flight, by channel. */
  readonly #latest = new Map<string, Pending>();
  /** To be sent again. */
  readonly #failed = new Set<Pending>();
  /** Stored by an earlier attempt; their ids are not known yet. */
  readonly #repeated = new Set<Pending>();
  #state: 'sending' | 'recovering' | 'probing' = 'sending';
  #attempts = 0;
  #retry: NodeJS.Timeout | undefined;
  #search: NodeJS.Timeout | undefined;
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
    return this.#sent.size + this.#failed.size + this.#repeated.size + this.#queue.size === 0;
  }

  /** @throws SseError `SSE_UNAVAILABLE` */
  publish(sending: Sending, number: number): Promise<string> {
    const pending = new Pending(sending, number);
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
    clearTimeout(this.#search);
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
    if (this.#state === 'sending') for (const pending of this.#queue) this.#send(pending);
    else if (this.#state === 'recovering' && !this.#retry && this.#sent.size === 0) this.#resume();
  }

  #send(pending: Pending): void {
    const { sending, number } = pending;
    const { connection } = this.#place;
    const after = this.#latest.get(sending.channel)?.number;
    const attempt = { publisher: this.route.publisher, number, after, whole: !connection.knowsScripts };
    this.#queue.delete(pending);
    this.#sent.add(pending);
    if (sending.isRepeatable) {
      this.#latest.set(sending.channel, pending);
      // Only a script makes Redis remember it.
      connection.knowsScripts = true;
    }
    sending.send(this.#place, attempt).then(
      (answer) => this.#succeed(pending, answer as string),
      (error: Error) => this.#fail(pending, error),
    );
  }

  #succeed(pending: Pending, id: string): void {
    this.#end(pending);
    this.#release(pending);
    pending.settle(id);
    if (!this.#place.asking) this.#refusal = undefined;
    this.#goOn();
  }

  #fail(pending: Pending, error: Error): void {
    this.#end(pending);
    if (isRepeated(error)) {
      pending.unanswered = true;
      if (pending.settled) this.#release(pending);
      else this.#repeated.add(pending);
      this.#search ??= setTimeout(() => void this.#find(), GATHER_MS).unref();
      this.#goOn();
    } else if (pending.fail(error)) {
      if (pending.settled) this.#release(pending);
      else this.#failed.add(pending);
      this.#state = 'recovering';
      // Refused before it was run, a script is not known.
      if (error.name === 'ReplyError') this.#place.connection.knowsScripts = false;
      this.#refuse(error);
      this.#proceed();
    } else {
      this.#release(pending);
      this.#giveUp(pending);
      this.#goOn();
    }
  }

  #end(pending: Pending): void {
    const { channel } = pending.sending;
    this.#sent.delete(pending);
    if (this.#latest.get(channel) === pending) this.#latest.delete(channel);
  }

  #refuse(error: Error, place = this.#place): void {
    this.#refusal = error;
    this.route.learn(error, place);
  }

  /** Continues after an answer: with the retry, or with the queue once the probe is through. */
  #goOn(): void {
    if (this.#state === 'recovering') return this.#proceed();
    const wasProbing = this.#state === 'probing';
    this.#state = 'sending';
    this.#attempts = 0;
    if (wasProbing || (this.#sent.size === 0 && this.#queue.size > 0)) this.flush();
  }

  /** Schedules a retry. */
  #proceed(): void {
    if (this.#retry || this.#closed) return;
    const delay = Math.min(RETRY_MS[0] * 2 ** this.#attempts++, RETRY_MS[1]) * (0.5 + Math.random());
    this.#retry = setTimeout(() => {
      this.#retry = undefined;
      this.flush();
    }, delay).unref();
  }

  /** Puts what is to be sent again in front, in the order of the calls. */
  #resume(): void {
    const again = [...this.#failed].toSorted((a, b) => a.number - b.number);
    this.#failed.clear();
    this.#queue = new Set([...again, ...this.#queue]);
    const [probe] = this.#queue;
    this.#state = probe ? 'probing' : 'sending';
    if (probe) this.#send(probe);
    else this.#attempts = 0;
  }

  /** Looks for the ids of publications that an earlier attempt has stored. */
  async #find(): Promise<void> {
    const channels = new Map<string, Pending[]>();
    for (const pending of this.#repeated) {
      const { channel } = pending.sending;
      if (channels.has(channel)) channels.get(channel)!.push(pending);
      else channels.set(channel, [pending]);
    }
    const all = [...channels];
    for (let n = 0; n < all.length; n += FIND_BATCH) {
      await Promise.all(all.slice(n, n + FIND_BATCH).map((each) => this.#findIn(...each)));
    }
    this.#search = undefined;
    if (this.#repeated.size > 0 && !this.#closed) {
      this.#search = setTimeout(() => void this.#find(), RETRY_MS[0]).unref();
    }
  }

  async #findIn(channel: string, pendings: readonly Pending[]): Promise<void> {
    const place = this.route.place(this.#refusal);
    const first = pendings.reduce((least, { number }) => Math.min(least, number), Infinity);
    let cursors: ReadonlyMap<number, string> = new Map();
    try {
      cursors = await this.route.find(place, { channel, publisher: this.route.publisher, first });
    } catch (error) {
      this.#refuse(error as Error, place);
      // The next search retries, until the publications expire.
      if (!isFinal(error as Error)) return;
    }
    for (const pending of pendings) {
      const cursor = cursors.get(pending.number);
      if (cursor === undefined) this.#giveUp(pending);
      else this.#settle(pending, pending.sending.idOf(cursor));
    }
  }

  get #pending(): Pending[] {
    return [...this.#sent, ...this.#failed, ...this.#repeated, ...this.#queue];
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
    const isHeld =
      this.#queue.delete(pending) || this.#failed.delete(pending) || this.#repeated.delete(pending);
    if (isHeld) this.#release(pending);
    pending.settle(outcome);
  }
}
