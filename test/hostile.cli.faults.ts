import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { Redis } from 'ioredis';
import { text, wellFormed } from './support/hostile-text.js';
import { adminUrl, randomPrefix, redisUrl } from './support/redis.js';
import { SharedCli } from './support/shared-cli.js';

describe('Hostile input of the command line', () => {
  const cli = new SharedCli();

  it('is refused with a reason, or published', async () => {
    const prefix = randomPrefix();
    const env = { SSE_REDIS_URL: redisUrl(), SSE_PREFIX: prefix };
    const admin = new Redis(adminUrl());
    // An argument of a program cannot contain NUL.
    const argument = text.map((value) => wellFormed(value).replaceAll('\0', ''));
    const flags = fc.record(
      { channel: argument, type: argument, id: argument, retry: argument },
      { requiredKeys: [] },
    );
    const input = fc.oneof(
      fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
      fc.jsonValue().map((value) => Buffer.from(JSON.stringify(value))),
      text.map((value) => Buffer.from(wellFormed(value))),
    );
    const mode = fc.constantFrom([], ['--text'], ['--ndjson']);
    let published = 0;
    await fc.assert(
      fc.asyncProperty(flags, mode, input, async (given, switches, bytes) => {
        const options = Object.entries(given).map(([flag, value]) => `--${flag}=${value}`);
        const args = ['sse', 'publish', ...switches, ...options];
        const { code, stdout, stderr } = await cli.run(args, bytes, env);
        expect([0, 2]).toContain(code);
        expect(stderr).not.toMatch(/^\s+at |node_modules/m);
        if (code === 0) published += stdout.split('\n').length - 1;
        else expect(stderr).not.toBe('');
      }),
      { seed: 20_261_124, numRuns: 100 },
    );
    expect(published).toBeGreaterThan(0);
    const entries = await Promise.all(
      (await admin.keys(`${prefix}*:history`)).map(async (key) => admin.xlen(key)),
    );
    expect(entries.reduce((sum, count) => sum + count, 0)).toBeGreaterThanOrEqual(published);
    admin.disconnect();
  });
});
