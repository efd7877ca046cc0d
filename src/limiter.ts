import { Logger } from '@nestjs/common';

/** First in, first out: both in constant time, however many there are. */
class Fifo<T> {
  #items: (T | undefined)[] = [];
  #head = 0;

  push(item: T): void {
    this.#items.push(item);
  }

  shift(): T | undefined {
    const item = this.#items[this.#head];
    if (item === undefined) return undefined;
    this.#items[this.#head++] = undefined;
    if (2 * this.#head > this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return item;
  }
}

interface Waiting {
  readonly isWanted: () => boolean;
  /** With whether the task may run. */
  readonly resolve: (isTurn: boolean) => void;
}

export interface TaskOptions {
  /** Tasks of a lower number run first, those of one number in the order they came. @default 0 */
  readonly priority?: number;
  /** A task that is not wanted any more when its turn comes does not run. */
  readonly isWanted?: () => boolean;
}

/** Runs a bounded number of tasks at a time. The others wait. */
export class Limiter {
  /** By priority. */
  readonly #waiting: (Fifo<Waiting> | undefined)[] = [];
  #running = 0;

  constructor(private readonly max: number) {}

  /** Whether the maximum number of tasks runs. */
  get isBusy(): boolean {
    return this.#running >= this.max;
  }

  /** Whether no task runs or waits. */
  get isIdle(): boolean {
    return this.#running === 0;
  }

  /** Resolves to undefined for a task that was not wanted any more. */
  run<T>(task: () => Promise<T>, options?: Pick<TaskOptions, 'priority'>): Promise<T>;
  run<T>(task: () => Promise<T>, options: TaskOptions): Promise<T | undefined>;
  async run<T>(
    task: () => Promise<T>,
    { priority = 0, isWanted = () => true }: TaskOptions = {},
  ): Promise<T | undefined> {
    if (!this.isBusy) this.#running++;
    else if (!(await this.#turn(priority, isWanted))) return undefined;
    try {
      return await task();
    } finally {
      this.#next();
    }
  }

  #turn(priority: number, isWanted: () => boolean): Promise<boolean> {
    return new Promise((resolve) => {
      const queue = (this.#waiting[priority] ??= new Fifo());
      queue.push({ isWanted, resolve });
    });
  }

  /** Hands the place of a task that has ended to the next one that is wanted. */
  #next(): void {
    for (const queue of this.#waiting) {
      for (let next = queue?.shift(); next; next = queue?.shift()) {
        const isTurn = next.isWanted();
        next.resolve(isTurn);
        if (isTurn) return;
      }
    }
    this.#running--;
  }
}

/** Allows so many a second, and up to five seconds' worth at once. */
export class Bucket {
  #left: number;
  #since = performance.now();

  constructor(private readonly perSecond: number) {
    this.#left = 5 * perSecond;
  }

  /** Takes so many. More than the bucket can hold are taken from a full bucket, and the rest from later seconds. */
  take(count = 1): boolean {
    const now = performance.now();
    const most = 5 * this.perSecond;
    this.#left = Math.min(most, this.#left + ((now - this.#since) / 1_000) * this.perSecond);
    this.#since = now;
    if (this.#left < Math.min(count, most)) return false;
    this.#left -= count;
    return true;
  }
}

/** How long a failure is not logged again, in ms, and how many kinds of them are told apart. */
const QUIET_MS = 60_000;
const MAX_KINDS = 100;

/** Logs failures that may occur with each event or each request: one line a minute for each kind. */
export class FailureLog {
  readonly #logger = new Logger('SseModule');
  readonly #kinds = new Map<string, { since: number; more: number }>();

  /** @param kind what tells it from others: nothing that clients or publishers can make up any number of */
  error(kind: string, line: unknown): void {
    const now = performance.now();
    const last = this.#kinds.get(kind);
    if (last && now - last.since < QUIET_MS) {
      last.more++;
      return;
    }
    const [[oldest, { since }] = [kind, { since: 0 }]] = this.#kinds;
    if (!last && this.#kinds.size >= MAX_KINDS) {
      if (now - since < QUIET_MS) return;
      this.#kinds.delete(oldest);
    }
    // To the end: the first is the one that was logged the longest ago.
    this.#kinds.delete(kind);
    this.#kinds.set(kind, { since: now, more: 0 });
    this.#logger.error(last?.more ? `${String(line)} (and ${last.more} times before)` : line);
  }
}
