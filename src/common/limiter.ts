/** First in, first out, in constant time. */
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
  /** Called with whether the task may run. */
  readonly resolve: (isTurn: boolean) => void;
}

export interface TaskOptions {
  /** Tasks with a lower number run first; tasks with equal numbers in the order of their calls. @default 0 */
  readonly priority?: number;
  /** Asked when it is the task's turn: an unwanted task does not run. */
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

  /** Resolves to undefined for an unwanted task. */
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

  /** Starts the next wanted task in place of one that has ended. */
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
