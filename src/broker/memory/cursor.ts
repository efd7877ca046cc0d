import { randomInt } from 'node:crypto';

/** By the clock, or after the last cursor if the clock went back. Memory has no replicas, so it needs no random step. */
export function nextCursor(prev: string | undefined): string {
  const [prevMs, prevN] = prev === undefined ? [0, 0] : (prev.split('-').map(Number) as [number, number]);
  const now = Date.now();
  return now > prevMs ? `${now}-${randomInt(2 ** 20)}` : `${prevMs}-${prevN + 1}`;
}
