import { Redis } from 'ioredis';
import type { SseEvent } from 'nestjs-sse-channels';
import { Cli } from './cli.js';
import { commandLine } from './command-line.js';
import { adminUrl } from './redis.js';
import { until } from './until.js';

/** The events that a command has printed with `--json`. */
export const eventsOf = (stdout: string): SseEvent[] =>
  stdout
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as SseEvent);

/** The commands of `sse stream`. To be called within a `describe()`. */
export function streamCommands() {
  const commands = commandLine();
  const { env, file, run } = commands;

  /** Prints the stream to its end. */
  const attach = async (args: string, more = {}) => {
    const { code, stdout, stderr } = await run(`sse stream attach ${args} --json`, '', more);
    const events = eventsOf(stdout);
    return { code, stderr, events, data: events.map(({ data }) => data) };
  };
  /** Produces stream `a` in a separate process. Resolves when the stream has started. */
  const produce = async (args: string, more: Record<string, string> = {}) => {
    const redis: Record<string, string> = { ...env, SSE_REDIS_URL: adminUrl(), ...more };
    const producer = new Cli(`sse stream run ${args}`, redis);
    const admin = new Redis(redis.SSE_REDIS_URL!);
    await until(async () => (await admin.keys(`${redis.SSE_PREFIX}*:meta`)).length > 0);
    admin.disconnect();
    return producer;
  };
  /** The command that runs a script with Node.js. */
  const node = (script: string) => `node ${file(`${script.length}.js`, script)}`;
  /** The command that runs a script with a shell. */
  const shell = (script: string) => `sh ${file(`${script.length}.sh`, script)}`;

  return { ...commands, attach, produce, node, shell };
}
