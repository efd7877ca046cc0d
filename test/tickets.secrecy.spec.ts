import { createHash } from 'node:crypto';
import { inspect } from 'node:util';
import { describe, expect, it, jest } from '@jest/globals';
import { NestFactory } from '@nestjs/core';
import { SseModule, SseTickets } from 'nestjs-sse-channels';
import { PrometheusMetrics } from 'nestjs-sse-channels/prometheus';
import { Registry } from 'prom-client';
import { platforms } from './support/app.js';
import { watchLog } from './support/log.js';
import { randomPrefix, startRedis } from './support/redis.js';
import { GUESSED, startTickets } from './support/tickets-app.js';
import { until } from './support/until.js';

const { failed, warned, logged } = watchLog();
const ISSUE = { route: '/listed', channels: 'a', user: 'ann@example', session: 'the session' };
const hashesOf = (ticket: string) =>
  (['hex', 'base64', 'base64url'] as const).map((encoding) =>
    createHash('sha256').update(ticket).digest(encoding),
  );
/** What must not be shown anywhere. */
const secretsOf = (ticket: string) => [ticket, ...hashesOf(ticket)];

describe('A ticket in Redis', () => {
  it('is stored as its SHA-256 alone, with an expiry, and what it allows cannot be read', async () => {
    const server = await startRedis();
    const module = SseModule.forRoot({ redis: server.url });
    const context = await NestFactory.createApplicationContext(module, { logger: false });
    const tickets = context.get(SseTickets);
    const admin = server.admin();
    const ticket = await tickets.issue(ISSUE);
    const [, , hash] = hashesOf(ticket);
    const key = `sse:{!ticket:${hash}}:value`;
    expect(await admin.keys('*')).toEqual([key]);
    expect(await admin.pttl(key)).toBeGreaterThan(20_000);
    expect(await admin.pttl(key)).toBeLessThanOrEqual(30_000);
    const value = (await admin.get(key))!;
    const texts = [value, Buffer.from(value, 'base64url').toString('latin1')];
    for (const secret of [ticket, 'ann@example', 'the session', '/listed']) {
      for (const text of texts) expect(text).not.toContain(secret);
    }
    await tickets.issue({ ...ISSUE, ttlMs: 5_000 });
    const ttls = await Promise.all((await admin.keys('*')).map((each) => admin.pttl(each)));
    expect(Math.min(...ttls)).toBeLessThanOrEqual(5_000);
    await context.close();
    admin.disconnect();
  });

  it('costs one SET and one GETDEL, and a refusal for its shape no command', async () => {
    const server = await startRedis();
    const node = await startTickets(platforms[0][1], { redis: server.url, requireRedis: true });
    const admin = server.admin();
    const monitor = await admin.monitor();
    const commands: string[] = [];
    monitor.on('monitor', (_time, [name, key]: string[]) => {
      if (key?.includes('!ticket') || name === 'echo') commands.push(name!.toLowerCase());
    });
    const ticket = await node.tickets.issue(ISSUE);
    for (const given of ['', 'short', `${GUESSED}x`, `${GUESSED.slice(1)}%00`, `${GUESSED.slice(1)}.`]) {
      expect((await node.read('listed?channel=a', given)).status).toBe(401);
    }
    expect((await node.read('listed?channel=a', ticket)).status).toBe(200);
    expect((await node.read('listed?channel=a', ticket)).status).toBe(401);
    await admin.echo('end');
    await until(() => commands.includes('echo'));
    monitor.disconnect();
    expect(commands).toEqual(['set', 'getdel', 'getdel', 'echo']);
    admin.disconnect();
  });
});

describe.each(platforms)('A ticket on %s', (_, platform) => {
  it('is not shown by logs, errors, metrics, connections() and stats(), nor is its hash', async () => {
    const lines: unknown[] = [];
    const streams = [process.stdout, process.stderr].map((stream) =>
      jest.spyOn(stream, 'write').mockImplementation((chunk) => lines.push(String(chunk)) > 0),
    );
    // A server quotes the arguments of a command that it does not know.
    const server = await startRedis(['--rename-command', 'GETDEL', '']);
    const withoutSet = await startRedis(['--rename-command', 'SET', '']);
    const registry = new Registry();
    const metrics = new PrometheusMetrics({ registry });
    const options = { redis: server.url, prefix: randomPrefix(), metrics };
    const node = await startTickets(platform, options);
    const shown: unknown[] = [];
    node.sse.onConnect((connection) => shown.push(connection));
    node.sse.onDisconnect((connection) => shown.push(connection));
    const secrets: string[] = [];
    const issue = async (given: object = {}) => {
      const ticket = await node.tickets.issue({ ...ISSUE, ...given });
      secrets.push(...secretsOf(ticket));
      return ticket;
    };
    const failing = await node.read('listed?channel=a', await issue());
    await until(() => failing.ended);
    expect([failing.status, failing.headers['referrer-policy']]).toEqual([200, 'no-referrer']);
    const refused = failed.mock.calls.flat().join();
    expect(refused).toMatch(/SseTickets did not decide, so clients retry.*unknown command/);
    shown.push(failing.text, failing.headers);

    const failingNode = await startTickets(platform, { redis: withoutSet.url, requireRedis: true });
    const error: unknown = await failingNode.tickets.issue(ISSUE).catch((reason: unknown) => reason);
    expect(error).toMatchObject({
      code: 'SSE_UNAVAILABLE',
      status: 503,
      message: expect.stringContaining('unknown command'),
    });
    shown.push(inspect(error, { depth: 10, showHidden: true }));
    expect(shown.at(-1)).not.toMatch(/ann@example|the session|!ticket/);
    const memory = await startTickets(platform);
    const ticket = await memory.tickets.issue(ISSUE);
    secrets.push(...secretsOf(ticket));
    const open = await memory.read('listed?channel=a', ticket);
    await open.next();
    shown.push(memory.sse.connections(), memory.sse.stats(), node.sse.stats(), open.text, open.headers);
    shown.push(await (await memory.read('listed?channel=a', ticket)).body(), await registry.metrics());
    shown.push(failed.mock.calls, warned.mock.calls, logged.mock.calls, lines);
    for (const stream of streams) stream.mockRestore();
    const text = inspect(shown, { depth: 10, maxArrayLength: null, maxStringLength: null });
    for (const secret of secrets) expect(text).not.toContain(secret);
    expect(text).not.toContain('!ticket');
  });
});
