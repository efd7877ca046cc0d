import { AwakeClock } from './awake-clock.js';
import {
  isFinal,
  isRepeated,
  PendingPublication as Pending,
  type PublishCommand,
  type Routing,
  storedIn,
  type Usage,
} from './publication.js';
import type { Route } from './topology.js';

/** How long a publication may take, with all attempts, in ms. */
const DEADLINE_MS = 4_500;
/** Between two attempts while Redis refuses, in ms: from the first to the last. */
const RETRY_MS = [50, 500] as const;
/** How long REPEATED answers are collected before one search for their ids, in ms, and channels that are searched at once. */
const [GATHER_MS, FIND_BATCH] = [10, 200];

/**
 * Sends publications to one server in call order. A retry may go to another server.
 *
 * Publications leave at once, without waiting for answers. If an answer is missing or is a temporary refusal, the queue pauses
 * until nothing is in flight. Then it sends the first unconfirmed publication alone, as a probe, and the rest behind it. The
 * script stores each publication once, and none before its predecessor in the channel. If it has stored a publication before, the
 * queue looks for its id in the history.
 */
export class PublicationQueue {
  /** Publications whose promise or answer is outstanding, in call order. */
  readonly #publications = new Set<Pending>();
  #waiting = 0;
  #inFlight = 0;
  /** The last publication in flight, by channel. */
  readonly #latest = new Map<string, Pending>();
  /**
   * - `open`: publications leave at once.
   * - `paused`: one has failed. Nothing leaves until the retry.
   * - `probing`: the first publication that failed is in flight, alone.
   */
  #state: 'open' | 'paused' | 'probing' = 'open';
  #attempts = 0;
  #retry: NodeJS.Timeout | undefined;
  #search: NodeJS.Timeout | undefined;
  #closed = false;
  readonly #clock = new AwakeClock();
  /** Where the publications in flight were sent. */
  #route: Route;
  /** The last answer, if it was a refusal. */
  #refusal: Error | undefined;

  constructor(
    private readonly routing: Routing,
    private readonly usage: Usage,
  ) {
    this.#route = routing.route();
  }

  get isIdle(): boolean {
    return this.#publications.size === 0;
  }

  /** @param before the part of the same list before it, in the call before this one */
  publish(command: PublishCommand<unknown>, number: number, before?: Pending): Pending {
    const publication = new Pending(command, number, this.#clock.now);
    if (before) before.next = publication;
    this.#publications.add(publication);
    this.usage.count += command.count;
    this.usage.size += command.size;
    // Usually none waits. There may be 100,000 in flight, so this does not iterate them.
    if (this.#waiting++ > 0) this.flush();
    else if (this.#state === 'open' && this.#isReady()) this.#send(publication);
    return publication;
  }

  /** Resolves once the outcome of every publication is known. */
  settled(): Promise<unknown> {
    return Promise.allSettled(Array.from(this.#publications, ({ result }) => result));
  }

  /** Gives up all publications. */
  close(): void {
    this.#closed = true;
    clearTimeout(this.#retry);
    clearTimeout(this.#search);
    for (const publication of this.#publications) this.#giveUp(publication);
  }

  /** Gives up publications that have taken too long. To be called every `TICK_MS`. */
  expire(): void {
    const due = this.#clock.tick() - DEADLINE_MS;
    for (const publication of this.#publications) {
      if (publication.since > due) return;
      this.#giveUp(publication);
    }
  }

  /** Sends what can be sent now. */
  flush(): void {
    if (this.#waiting === 0 && this.#state === 'open') return;
    if (!this.#isReady()) return;
    if (this.#state === 'open') for (const publication of this.#allWaiting()) this.#send(publication);
    else if (this.#state === 'paused' && !this.#retry && this.#inFlight === 0) this.#probe();
  }

  #isReady(): boolean {
    // A channel that moves is followed when nothing is in flight to its old server: otherwise the order would be lost.
    if (this.#inFlight === 0) this.#route = this.routing.route(this.#refusal);
    return this.#route.connection.ready;
  }

  *#allWaiting(): Generator<Pending> {
    for (const publication of this.#publications) if (publication.state === 'waiting') yield publication;
  }

  #send(publication: Pending): void {
    const { command, number } = publication;
    const { connection } = this.#route;
    const after = this.#latest.get(command.channel)?.last;
    const whole = !connection.knownScripts.has(command.script);
    const attempt = { publisher: this.routing.publisher, number, after, whole };
    publication.state = 'sent';
    this.#waiting--;
    this.#inFlight++;
    if (command.isRepeatable) this.#latest.set(command.channel, publication);
    if (command.script) connection.knownScripts.add(command.script);
    command.send(this.#route, attempt).then(
      (result) => this.#succeed(publication, result),
      (error: Error) => this.#fail(publication, error),
    );
  }

  #succeed(publication: Pending, result: unknown): void {
    this.#land(publication);
    this.#settle(publication, result);
    if (!this.#route.asking) this.#refusal = undefined;
    this.#goOn();
  }

  #fail(publication: Pending, error: Error): void {
    this.#land(publication);
    if (isRepeated(error)) {
      publication.state = 'stored';
      publication.unanswered = true;
      this.#search ??= setTimeout(() => void this.#find(), GATHER_MS).unref();
      this.#goOn();
    } else if (publication.fail(error)) {
      publication.state = 'waiting';
      this.#waiting++;
      this.#state = 'paused';
      // A script that was refused before it ran is not known.
      if (error.name === 'ReplyError') this.#route.connection.knownScripts.clear();
      this.#refuse(error);
      this.#retryLater();
    } else {
      this.#giveUp(publication);
      this.#goOn();
    }
    if (publication.settled) this.#remove(publication);
  }

  /** An answer has arrived, or is lost for good. */
  #land(publication: Pending): void {
    const { channel } = publication.command;
    this.#inFlight--;
    publication.state = 'answered';
    if (this.#latest.get(channel) === publication) this.#latest.delete(channel);
  }

  #refuse(error: Error, route = this.#route): void {
    this.#refusal = error;
    this.routing.learn(error, route);
  }

  #goOn(): void {
    if (this.#state === 'paused') return this.#retryLater();
    this.#state = 'open';
    this.#attempts = 0;
    this.flush();
  }

  #retryLater(): void {
    if (this.#retry || this.#closed) return;
    const delay = Math.min(RETRY_MS[0] * 2 ** this.#attempts++, RETRY_MS[1]) * (0.5 + Math.random());
    this.#retry = setTimeout(() => {
      this.#retry = undefined;
      this.flush();
    }, delay).unref();
  }

  #probe(): void {
    const { value: first } = this.#allWaiting().next();
    this.#state = first ? 'probing' : 'open';
    if (first) this.#send(first);
    else this.#attempts = 0;
  }

  /** Searches for the ids of publications that an earlier attempt has stored. */
  async #find(): Promise<void> {
    const all = storedIn(this.#publications);
    for (let n = 0; n < all.length; n += FIND_BATCH) {
      await Promise.all(all.slice(n, n + FIND_BATCH).map((each) => this.#findIn(...each)));
    }
    this.#search = undefined;
    if (this.#closed || ![...this.#publications].some(({ state }) => state === 'stored')) return;
    this.#search = setTimeout(() => void this.#find(), RETRY_MS[0]).unref();
  }

  async #findIn(channel: string, publications: readonly Pending[]): Promise<void> {
    const route = this.routing.route(this.#refusal);
    const { publisher } = this.routing;
    let cursors: ReadonlyMap<number, string> = new Map();
    try {
      cursors = await this.routing.find(route, { channel, publisher, first: publications[0]!.number });
    } catch (error) {
      this.#refuse(error as Error, route);
      // The next search retries, until the publications expire.
      if (!isFinal(error as Error)) return;
    }
    for (const publication of publications) {
      const result = publication.command.resultOf(cursors, publication.number);
      if (result === undefined) this.#giveUp(publication);
      else this.#settle(publication, result);
    }
  }

  #giveUp(publication: Pending): void {
    if (publication.settled) return;
    const { next, state } = publication;
    this.#settle(publication, publication.failure(this.#route.connection, state === 'sent'));
    if (!next) return;
    next.isOrphaned = true;
    // If it is in flight, it may be stored: its answer decides.
    if (next.state === 'waiting') this.#giveUp(next);
  }

  /** A publication in flight stays in the queue until its answer arrives. */
  #settle(publication: Pending, outcome: unknown): void {
    publication.settle(outcome);
    if (publication.state !== 'sent') this.#remove(publication);
  }

  #remove(publication: Pending): void {
    if (!this.#publications.delete(publication)) return;
    if (publication.state === 'waiting') this.#waiting--;
    this.usage.count -= publication.command.count;
    this.usage.size -= publication.command.size;
  }
}
