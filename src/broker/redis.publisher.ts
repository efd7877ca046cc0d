import { performance } from 'node:perf_hooks';
import type { Redis } from 'ioredis';
import { SseError } from '../sse.errors.js';
import type { RedisConnection } from './redis.connection.js';

/** How long a publication may take, with all attempts, in ms. */
const DEADLINE_MS = 4_500;
/** How many publications may be under way at once, and how much they may hold: an outage must not fill the memory. */
const MAX_PENDING = 100_000;
const MAX_PENDING_SIZE = 67_108_864;
/** Between two attempts while Redis refuses, in ms: from the first to the last. */
const RETRY_MS = [50, 500] as const;

/** Refusals that pass by themselves: scripts forgotten or one running, starting, failing over. Nothing was written. */
const PASSING = /^(NOSCRIPT|BUSY|LOADING|READONLY|MASTERDOWN|CLUSTERDOWN|TRYAGAIN)\b/;

/** What is to be sent: a command that publishes an event. */
export interface Sending {
  readonly channel: string;
  /** Characters it holds. */
  readonly size: number;
  /** Whether it is a script, which finds out by itself whether it has been executed before. */
  readonly repeatable: boolean;
  /** Writes the command. `whole`: nothing is known of what this connection's server knows; `age`: ms since it may have run. */
  send(client: Redis, attempt: { whole: boolean; age: number | undefined }): Promise<unknown>;
}

interface Pending {
  readonly sending: Sending;
  readonly order: number;
  readonly since: number;
  readonly resolve: (id: string) => void;
  readonly reject: (error: SseError) => void;
  /** When it was first sent, if the answer to an attempt is missing: then it may have been published. */
  unanswered?: number;
  sentAt?: number;
  /** Why the last attempt failed, and whether it certainly did. */
  error?: Error;
  refused?: boolean;
  settled: boolean;
}

/**
 * Sends publications over one connection in the order of the calls, also those that have to be sent again.
 *
 * All that is called goes out at once, without waiting for answers. When an answer is missing or is a refusal that
 * passes, nothing further is sent until everything under way has ended; then what has failed goes first, in its
 * order, one event as a probe and the rest behind it. A refused event that a later one of its channel has overtaken is
 * not sent again: it would come out of order.
 */
export class RedisPublisher {
  /** Not sent, in the order of the calls. */
  #queue = new Set<Pending>();
  /** Sent and unanswered, in the order of the calls. */
  readonly #sent = new Set<Pending>();
  /** To be sent again. */
  #failed: Pending[] = [];
  /** Per channel, while there are failed ones: the latest that was, or may have been, executed. */
  readonly #executed = new Map<string, number>();
  #state: 'sending' | 'recovering' | 'probing' = 'sending';
  #attempts = 0;
  #whole = true;
  #order = 0;
  #size = 0;
  #sweep: NodeJS.Timeout | undefined;
  #retry: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(private readonly connection: RedisConnection) {
    connection.client.on('close', () => (this.#whole = true));
    connection.client.on('ready', () => this.#flush());
  }

  /**
   * @returns what Redis answered
   * @throws SseError `SSE_UNAVAILABLE`
   */
  publish(sending: Sending): Promise<string> {
    if (this.#closed) return Promise.reject(this.connection.unreachable());
    if (this.#queue.size + this.#sent.size >= MAX_PENDING || this.#size + sending.size > MAX_PENDING_SIZE) {
      const message = `More than ${MAX_PENDING} events or ${MAX_PENDING_SIZE} bytes are waiting to be published: await publish()`;
      return Promise.reject(new SseError('SSE_UNAVAILABLE', message));
    }
    return new Promise<string>((resolve, reject) => {
      const order = this.#order++;
      this.#queue.add({ sending, order, since: performance.now(), resolve, reject, settled: false });
      this.#size += sending.size;
      this.#sweep ??= setInterval(() => this.#expire(), 250).unref();
      this.#flush();
    });
  }

  /** Fails what is not sent. What is may still be answered, as long as the connection is there. */
  close(): void {
    this.#closed = true;
    clearTimeout(this.#retry);
    clearInterval(this.#sweep);
    for (const pending of [...this.#failed, ...this.#queue]) this.#giveUp(pending);
  }

  #flush(): void {
    if (!this.connection.ready || this.#state === 'probing') return;
    if (this.#state === 'recovering') return this.#probe();
    for (const pending of this.#queue) this.#send(pending);
  }

  #send(pending: Pending): void {
    const { sending, unanswered } = pending;
    const now = performance.now();
    const attempt = {
      whole: this.#whole,
      age: unanswered === undefined ? undefined : Math.ceil(now - unanswered),
    };
    this.#queue.delete(pending);
    this.#sent.add(pending);
    // Only a script makes Redis remember it.
    if (sending.repeatable) this.#whole = false;
    pending.sentAt ??= now;
    sending.send(this.connection.client, attempt).then(
      (answer) => this.#succeed(pending, answer),
      (error: Error) => this.#fail(pending, error),
    );
  }

  #succeed(pending: Pending, answer: unknown): void {
    this.#sent.delete(pending);
    this.#settle(pending, () => pending.resolve(answer as string));
    if (this.#state === 'probing') this.#resume();
    else if (this.#state === 'recovering') this.#overtake(pending);
    this.#recover();
  }

  #fail(pending: Pending, error: Error): void {
    this.#sent.delete(pending);
    pending.error = error;
    const refused = error.name === 'ReplyError';
    const wasSent = refused || !error.message.startsWith('Stream isn');
    pending.refused = refused || !wasSent;
    if (!pending.refused) {
      pending.unanswered ??= pending.sentAt;
      this.#overtake(pending);
    }
    const again = refused ? PASSING.test(error.message) : !wasSent || pending.sending.repeatable;
    if (again && !this.#closed) {
      this.#failed.push(pending);
      this.#state = 'recovering';
    } else {
      this.#giveUp(pending);
      if (this.#state === 'probing') this.#resume();
    }
    this.#recover();
  }

  #overtake({ sending, order }: Pending): void {
    this.#executed.set(sending.channel, order);
  }

  /** Once nothing is under way any more: what failed goes to the front, and is tried after a while. */
  #recover(): void {
    if (this.#state !== 'recovering' || this.#sent.size > 0) return;
    const again: Pending[] = [];
    // Those that met a connection which was closing failed before those that went out on it.
    for (const pending of this.#failed.toSorted((a, b) => a.order - b.order)) {
      const executed = this.#executed.get(pending.sending.channel) ?? -1;
      const overtaken = pending.refused && executed > pending.order;
      if (overtaken) this.#giveUp(pending);
      else if (!pending.settled) again.push(pending);
    }
    this.#failed = [];
    this.#executed.clear();
    this.#queue = new Set([...again, ...this.#queue]);
    this.#whole = true;
    const [first, last] = RETRY_MS;
    const delay = Math.min(first * 2 ** this.#attempts++, last) * (0.5 + Math.random());
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => {
      this.#retry = undefined;
      this.#flush();
    }, delay).unref();
  }

  #probe(): void {
    if (this.#retry || this.#sent.size > 0) return;
    const [first] = this.#queue;
    if (!first) return this.#resume();
    this.#state = 'probing';
    this.#send(first);
  }

  #resume(): void {
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
    this.#queue.delete(pending);
    this.#settle(pending, () => pending.reject(this.#errorOf(pending)));
  }

  #settle(pending: Pending, settle: () => void): void {
    if (pending.settled) return;
    pending.settled = true;
    this.#size -= pending.sending.size;
    settle();
  }

  #errorOf(pending: Pending): SseError {
    const { error: cause, unanswered } = pending;
    const mayBePublished = unanswered !== undefined || this.#sent.has(pending);
    if (!cause) {
      if (!mayBePublished) return this.connection.unreachable();
      const message = `Redis did not answer within ${DEADLINE_MS} ms`;
      return new SseError('SSE_UNAVAILABLE', message, { mayBePublished });
    }
    const what =
      cause.name === 'ReplyError' ? `refused: ${cause.message}` : `did not answer: ${this.connection.reason}`;
    return new SseError('SSE_UNAVAILABLE', `Redis ${what}`, { cause, mayBePublished });
  }
}
