import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, expect } from '@jest/globals';
import { Redis } from 'ioredis';
import type { SseEvent } from 'nestjs-sse-channels';
import { Cli } from './cli.js';
import { adminUrl, randomPrefix, redisUrl } from './redis.js';
import { SharedCli } from './shared-cli.js';
import { until } from './until.js';

/** Gives each test commands with its own prefix. To be called within a `describe()`. */
export function commandLine() {
  const env: Record<string, string> = {};
  const dir = mkdtempSync(join(tmpdir(), 'sse-cli-'));

  beforeEach(() => void Object.assign(env, { SSE_REDIS_URL: redisUrl(), SSE_PREFIX: randomPrefix() }));
  afterAll(() => rmSync(dir, { recursive: true }));

  const file = (name: string, content: string | Buffer) => {
    writeFileSync(join(dir, name), content);
    return join(dir, name);
  };
  const shared = new SharedCli();
  const run = (args: string, input: string | Buffer = '', more = {}) =>
    shared.run(args.split(' ').filter(Boolean), input, { ...env, ...more });

  /** Starts a subscriber. Resolves when it is live: events published from then on arrive. */
  const live = async <T>(args: string, redis: Record<string, string>, start: (args: string) => T) => {
    const { SSE_REDIS_URL: url, SSE_PREFIX: prefix } = redis;
    const channel = `${prefix}${/--channel (\S+)/.exec(args)?.[1] ?? 'sse'}`;
    const admin = new Redis(url!);
    const count = async () => Number((await admin.pubsub('NUMSUB', channel))[1]);
    const before = await count();
    const started = start(`sse subscribe ${args}`);
    await until(async () => (await count()) > before && (await admin.keys(`${prefix}*:meta`)).length > 0);
    admin.disconnect();
    return { started };
  };
  /** Starts a subscriber as a separate process. */
  const subscribe = async (args: string, url = adminUrl()) => {
    const redis = { ...env, SSE_REDIS_URL: url };
    return (await live(args, redis, (command) => new Cli(command, redis))).started;
  };
  const subscribers = new SharedCli();
  /** Starts a subscriber with `--count`. `end()` resolves to the events it printed. */
  const receive = async (args: string, more = {}) => {
    const redis = { ...env, SSE_REDIS_URL: adminUrl(), ...more };
    const { started } = await live(args, redis, (command) => subscribers.run(command.split(' '), '', redis));
    const end = async () => {
      const { code, stdout, stderr } = await started;
      expect([code, stderr]).toEqual([0, '']);
      return stdout
        .split('\n')
        .slice(0, -1)
        .map((line) => JSON.parse(line) as SseEvent);
    };
    return { end };
  };

  return { env, file, run, subscribe, subscribers, receive };
}
