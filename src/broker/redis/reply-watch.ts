import type { Redis } from 'ioredis';

const TICK_MS = 250;

/**
 * Breaks the connection to a server that hangs: a reply is due, and nothing arrives for some time.
 *
 * It counts ticks of a timer instead of milliseconds. A process that was busy or suspended gets one tick for all of that time, and
 * reads what has arrived before the next one. ioredis's `socketTimeout` would take the process's own delay for the server's.
 */
export function watchReplies(client: Redis, replyMs: number): NodeJS.Timeout {
  let [silent, received] = [0, 0];
  const check = () => {
    const { stream, commandQueue } = client;
    const isDue = commandQueue.length > 0 && stream.bytesRead === received;
    received = stream?.bytesRead ?? 0;
    silent = isDue ? silent + 1 : 0;
    if (silent * TICK_MS < replyMs) return;
    silent = 0;
    stream.destroy(new Error(`no reply in ${replyMs / 1_000} s`));
  };
  return setInterval(check, TICK_MS).unref();
}
