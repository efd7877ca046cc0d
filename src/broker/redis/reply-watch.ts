import type { Redis } from 'ioredis';
import { AwakeClock, TICK_MS } from './awake-clock.js';

/**
 * Breaks the connection to a server that hangs: a reply is due, and nothing arrives for some time.
 *
 * ioredis's `socketTimeout` does the same, but takes a delay of this process for one of the server.
 *
 * @param replyMs how long the server may send nothing, in ms
 * @returns the timer to clear when the client is closed
 */
export function watchReplies(client: Redis, replyMs: number): NodeJS.Timeout {
  const clock = new AwakeClock();
  let silentSince = clock.now;
  let hasHeard = false;
  client.on('connect', () => {
    silentSince = clock.now;
    // It may be any stream, of a `Connector` of the application.
    client.stream.on('data', () => (hasHeard = true));
  });
  const check = () => {
    const now = clock.tick();
    // A look-alike of ioredis may have no queue.
    const isDue = client.commandQueue?.length > 0 && !hasHeard;
    hasHeard = false;
    if (!isDue) silentSince = now;
    // The next check would be too late.
    if (now - silentSince <= replyMs - TICK_MS) return;
    silentSince = now;
    client.stream.destroy(new Error(`no reply in ${replyMs / 1_000} s`));
  };
  return setInterval(check, TICK_MS).unref();
}
