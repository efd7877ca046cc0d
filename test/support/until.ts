import { setTimeout as sleep } from 'node:timers/promises';
import { inspect } from 'node:util';

/** How long a test waits for the next sign of progress. Only a test that fails waits that long. */
const PATIENCE_MS = Number(process.env.TEST_PATIENCE_MS ?? 60_000);
const POLL_MS = 10;
const STEP_MS = 50;

/** Waits for a condition. It fails with the last value once the value has not changed for `patienceMs`. */
export async function until<T>(
  look: () => T | Promise<T>,
  isRight: (value: T) => boolean = Boolean,
  patienceMs = PATIENCE_MS,
): Promise<T> {
  let seen: string | undefined;
  let since = performance.now();
  for (;;) {
    const value = await look();
    if (isRight(value)) return value;
    const text = textOf(value);
    if (text !== seen) [seen, since] = [text, performance.now()];
    if (performance.now() - since > patienceMs) {
      throw new Error(`No progress for ${patienceMs} ms; last seen: ${text}`);
    }
    await sleep(POLL_MS);
  }
}

/** Sockets, say, are circular. */
function textOf(value: unknown): string {
  try {
    return JSON.stringify(value);
  } catch {
    return inspect(value, { depth: 1 });
  }
}

/**
 * Rejects if the promise takes longer than `ms` by timers of this process. On a busy machine these timers are late, like the
 * timers that the promise waits for.
 */
export async function within<T>(ms: number, what: string, promise: Promise<T>): Promise<T> {
  const controller = new AbortController();
  const { signal } = controller;
  const timeOut = async (): Promise<never> => {
    for (let left = ms; left > 0; left -= STEP_MS)
      await sleep(Math.min(left, STEP_MS), undefined, { signal });
    throw new Error(`${what}: not within ${ms} ms`);
  };
  const late = timeOut();
  late.catch(() => undefined);
  try {
    return await Promise.race([promise, late]);
  } finally {
    controller.abort();
  }
}

/** Waits for a promise without a time limit of its own. */
export const eventually = <T>(what: string, promise: Promise<T>): Promise<T> =>
  within(PATIENCE_MS, what, promise);
