import { SseError } from '../common/sse.errors.js';

/** How many publications of a channel may wait, and the characters of all: a schema that is stuck must not fill the memory. */
const MAX_WAITING = 10_000;
const MAX_WAITING_SIZE = 67_108_864;

/** The publications of a channel that wait. */
interface Queue {
  /** Resolves when the last of them has been handed on. */
  last: Promise<void>;
  waiting: number;
}

/** What a call publishes to a channel: events, and characters of their data, as far as they are known. */
export interface Weight {
  readonly count: number;
  readonly size: number;
}

/** Keeps the order of the calls in each channel where the schema of one of them is asynchronous. */
export class Turns {
  /** Of channels in which something waits. */
  readonly #queues = new Map<string, Queue>();
  #size = 0;

  /**
   * @param checked a promise where a schema returns one; later publications of the channel wait until it settles
   * @param publish is called in the turn of the call, at once where nothing waits
   * @throws SseError `SSE_UNAVAILABLE`, by the promise, where too many wait
   */
  take<Checked extends object, Result>(
    channel: string,
    checked: Checked | Promise<Checked>,
    { count, size }: Weight,
    publish: (checked: Checked) => Promise<Result>,
  ): Promise<Result> {
    const waiting = this.#queues.get(channel);
    const isChecked = !('then' in checked);
    if (isChecked && !waiting) return publish(checked);
    const queue = waiting ?? { last: Promise.resolve(), waiting: 0 };
    // A list may be longer: it cannot wait for a part of itself.
    if (queue.waiting >= MAX_WAITING || this.#size + size > MAX_WAITING_SIZE) {
      // The schema has been called already.
      if (!isChecked) checked.catch(() => undefined);
      return Promise.reject(tooMany());
    }
    const result = this.#inTurn(queue.last, checked, publish);
    const leave = () => {
      this.#size -= size;
      queue.waiting -= count;
      if (queue.waiting === 0) this.#queues.delete(channel);
    };
    this.#size += size;
    queue.waiting += count;
    // The next one waits until this one is handed on, not until it is confirmed.
    queue.last = result.then(leave, leave);
    this.#queues.set(channel, queue);
    return result.then(({ publishing }) => publishing);
  }

  /** Resolves when what waits now has been handed on. */
  async settled(): Promise<void> {
    await Promise.all([...this.#queues.values()].map(({ last }) => last));
  }

  /** In an object, because a promise would be awaited. */
  async #inTurn<Checked, Result>(
    before: Promise<void>,
    checked: Checked | Promise<Checked>,
    publish: (checked: Checked) => Promise<Result>,
  ): Promise<{ publishing: Promise<Result> }> {
    const [settled] = await Promise.allSettled([checked, before]);
    if (settled.status === 'rejected') throw settled.reason;
    const publishing = publish(settled.value);
    // It is handled by the caller, a few microtasks later.
    publishing.catch(() => undefined);
    return { publishing };
  }
}

const tooMany = () =>
  new SseError(
    'SSE_UNAVAILABLE',
    `More than ${MAX_WAITING} events of a channel, or ${MAX_WAITING_SIZE} bytes, are waiting for a schema: await publish()`,
  );
