import { mkdtempSync, rmSync } from 'node:fs';
import { request, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, jest } from '@jest/globals';
import type { SseLimits } from 'nestjs-sse-channels';
import { networkOf } from '../src/connections/limits.js';
import { Bucket } from '../src/connections/bucket.js';
import { brokerOptions } from './support/broker-options.js';
import { connect } from './support/client.js';
import { startLimited, trusting } from './support/limited-app.js';
import { until } from './support/until.js';

describe.each(trusting)('A client’s share on %s', (_, platform, configure) => {
  const start = async (limits: SseLimits, options: object = {}) => {
    const { url, sse } = await startLimited(platform, limits, options, configure);
    const open = (path: string, address = '10.0.0.1', headers = {}) =>
      connect(`${url}/${path}`, { 'x-forwarded-for': address, ...headers });
    const isOpen = async (opening: ReturnType<typeof connect>) => {
      const client = await opening;
      await until(() => client.events.length > 0 || client.ended);
      return !client.ended;
    };
    return { open, isOpen, sse };
  };

  describe.each(brokerOptions)('%s', (_broker, options) => {
    it('does not count closed connections: the node evicts channels without connections, oldest first', async () => {
      const { open, isOpen, sse } = await start({ channels: 10 }, options());
      for (let n = 0; n < 30; n++) {
        const client = await open(`teams/${n}`);
        client.close();
        await until(() => sse.connections().length === 0);
      }
      expect(sse.stats()).toMatchObject({ refused: 0, channels: 10 });
      // The newest channels without connections remain, and other clients are accepted.
      expect(await isOpen(open('teams/29', '10.0.0.2'))).toBe(true);
      expect(sse.stats().channels).toBe(10);
      for (let n = 100; n < 109; n++) expect(await isOpen(open(`teams/${n}`, `10.0.1.${n}`))).toBe(true);
      expect(await isOpen(open('teams/200', '10.0.0.3'))).toBe(false);
      expect(sse.stats()).toMatchObject({ refused: 1, channels: 10 });
    });

    it('delivers again after the node evicted its channel', async () => {
      const { open, sse } = await start({ channels: 1 }, options());
      for (let n = 0; n < 3; n++) {
        for (const path of ['teams/1', 'teams/2']) {
          const client = await open(path);
          await client.next();
          await sse.publish(n, { channel: path.replace('teams/', 'team-') });
          expect(await client.next()).toMatchObject({ data: `${n}` });
          client.close();
          await until(() => sse.connections().length === 0);
        }
      }
    });
  });

  it('is half of all channels at most, each counted once', async () => {
    const { open, isOpen, sse } = await start({ channels: 8 });
    for (const n of [1, 1, 1, 1, 2, 3, 4]) expect(await isOpen(open(`teams/${n}`))).toBe(true);
    expect(await isOpen(open('teams/5'))).toBe(false);
    expect(await isOpen(open('channel?channel=a&channel=team-1'))).toBe(false);
    expect(await isOpen(open('teams/4'))).toBe(true);
    expect(await isOpen(open('teams/5', '10.0.0.2'))).toBe(true);
    const [first] = sse.connections();
    await sse.disconnect({ connection: first!.id }, { refuseMs: 0 });
    // Three of four connections to that channel remain.
    await until(() => sse.connections().length === 8);
    expect(await isOpen(open('teams/6'))).toBe(false);
  });

  it('of channels is free again when its connections have ended', async () => {
    const { open, isOpen, sse } = await start({ channelsPerAddress: 3 });
    const client = await open('channel?channel=a&channel=b&channel=c');
    expect(await isOpen(open('channel?channel=d'))).toBe(false);
    expect(await isOpen(open('channel?channel=a&channel=c'))).toBe(true);
    client.close();
    await until(() => sse.connections().length === 1);
    expect(await isOpen(open('channel?channel=d'))).toBe(true);
    expect(await isOpen(open('channel?channel=e'))).toBe(false);
  });

  it.each([
    ['2001:db8::1', '2001:db8:0:0:ffff::2', '2001:db8:0:1::1'],
    ['10.0.0.1', '::ffff:10.0.0.1', '10.0.0.2'],
  ])('is shared within its network: %s', async (one, same, other) => {
    const { open, isOpen } = await start({ connectionsPerAddress: 1 });
    expect(await isOpen(open('channel', one))).toBe(true);
    expect(await isOpen(open('channel', same))).toBe(false);
    expect(await isOpen(open('channel', other))).toBe(true);
  });

  it('of resumes counts each channel', async () => {
    const { open, sse } = await start({ resumesPerSecond: 50 });
    const all = Array.from({ length: 100 }, (__, n) => `channel=c${n}`).join('&');
    const id = { 'last-event-id': '1763884800000-1' };
    const clients = [];
    for (let n = 0; n < 8; n++) clients.push(await open(`channel?${all}`, '10.0.0.1', id));
    // 250 at once, and 50 for each second of the test.
    await until(() => sse.stats().refused > 0);
    expect(sse.connections().length).toBeLessThan(8);
    for (const client of clients) client.close();
  });

  it('is shared by all clients of a Unix socket', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'sse-http-'));
    const socketPath = join(dir, 'app.sock');
    const { app, sse } = await startLimited(platform, { connectionsPerAddress: 2 });
    const server = app.getHttpServer() as Server;
    await new Promise<void>((resolve) => server.close(() => resolve()));
    await new Promise<void>((resolve) => server.listen(socketPath, resolve));
    const requests = Array.from({ length: 3 }, () =>
      request({ socketPath, path: '/channel' }, (response) => response.resume())
        .on('error', () => undefined)
        .end(),
    );
    await until(() => sse.stats().refused === 1);
    expect(sse.connections()).toHaveLength(2);
    for (const each of requests) each.destroy();
    await until(() => sse.connections().length === 0);
    rmSync(dir, { recursive: true });
  });
});

describe('A bucket', () => {
  it('accepts one take above its size, and then nothing until it has refilled', () => {
    jest.useFakeTimers();
    const bucket = new Bucket(10);
    expect([bucket.take(100), bucket.take(1)]).toEqual([true, false]);
    jest.advanceTimersByTime(5_000);
    expect(bucket.take(1)).toBe(false);
    jest.advanceTimersByTime(200);
    expect([bucket.take(1), bucket.take(100)]).toEqual([true, false]);
    jest.useRealTimers();
  });
});

describe('The network of an address', () => {
  it.each([
    ['192.168.0.1', '192.168.0.1'],
    ['::ffff:192.168.0.1', '192.168.0.1'],
    ['::1', '0:0:0:0'],
    ['2001:DB8:0:0:1:2:3:4', '2001:db8:0:0'],
    ['2001:db8:1::', '2001:db8:1:0'],
    ['fe80::1%eth0', 'fe80:0:0:0'],
    ['unix', 'unix'],
    ['unknown', 'unknown'],
    ['a::b::c', 'a:0:0:0'],
    [undefined, undefined],
  ])('of %s is %s', (address, network) => {
    expect(networkOf(address)).toBe(network);
  });
});
