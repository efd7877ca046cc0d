import type { SseClientEvent } from './listeners.js';

/** The source reads no further while an iterator has so many events that were not asked for. */
const MAX_QUEUED = 256;

/** The iterators of a source. */
export function createIterations(source: { readonly error: Error | undefined }, isOver: () => boolean) {
  /** The events that each iterator has not delivered. */
  const queues = new Set<SseClientEvent[]>();
  let waiting: (() => void)[] = [];
  const change = () => new Promise<void>((resolve) => waiting.push(resolve));

  /** Lets all that wait for a change check again. */
  const wake = () => {
    const woken = waiting;
    waiting = [];
    for (const resolve of woken) resolve();
  };

  return {
    wake,

    give: (event: SseClientEvent) => {
      for (const queue of queues) queue.push(event);
      wake();
    },

    /** Resolves when the source may read on. */
    ready: async () => {
      while ([...queues].some(({ length }) => length >= MAX_QUEUED)) await change();
    },

    /** For one `for await` loop. */
    iterate: (): AsyncIterableIterator<SseClientEvent> => {
      const queue: SseClientEvent[] = [];
      queues.add(queue);
      const iterator = {
        next: async () => {
          while (queues.has(queue)) {
            const value = queue.shift();
            if (value) {
              wake();
              return { done: false as const, value };
            }
            if (!isOver()) await change();
            else if (queues.delete(queue) && source.error) throw source.error;
          }
          return { done: true as const, value: undefined };
        },
        return: () => {
          queues.delete(queue);
          wake();
          return iterator.next();
        },
        [Symbol.asyncIterator]: () => iterator,
      };
      return iterator;
    },
  };
}
