import { setTimeout as sleep } from 'node:timers/promises';

/** Waits for a condition, and fails, showing what was last seen, when it does not come true in time. */
export async function until<T>(
  look: () => T | Promise<T>,
  isRight: (value: T) => boolean = Boolean,
  deadlineMs = 10_000,
): Promise<T> {
  const end = Date.now() + deadlineMs;
  for (;;) {
    const value = await look();
    if (isRight(value)) return value;
    if (Date.now() > end) throw new Error(`Not within ${deadlineMs} ms; last seen: ${JSON.stringify(value)}`);
    await sleep(10);
  }
}

/** A promise that rejects when it takes too long. */
export async function within<T>(deadlineMs: number, what: string, promise: Promise<T>): Promise<T> {
  const controller = new AbortController();
  const late = sleep(deadlineMs, undefined, { signal: controller.signal }).then(() => {
    throw new Error(`${what}: not within ${deadlineMs} ms`);
  });
  late.catch(() => undefined);
  try {
    return await Promise.race([promise, late]);
  } finally {
    controller.abort();
  }
}
