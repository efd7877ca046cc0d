/** By the clock, or after the last cursor if the clock went back. Memory has no replicas, so it needs no random step. */
export function nextCursor(prev = '0-0'): string {
  const dash = prev.indexOf('-');
  const prevMs = Number(prev.slice(0, dash));
  const now = Date.now();
  if (now > prevMs) return `${now}-${Math.floor(Math.random() * 2 ** 20)}`;
  return `${prevMs}-${Number(prev.slice(dash + 1)) + 1}`;
}
