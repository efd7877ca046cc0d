import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { connect, type SseSource } from '../src/client/index.js';
import { platforms } from './support/app.js';
import { Cli } from './support/cli.js';
import { watchLog } from './support/log.js';
import { Proxy } from './support/proxy.js';
import { type RedisServer, startRedis } from './support/redis.js';
import { Relay } from './support/relay.js';
import { startTickets } from './support/tickets-app.js';
import { until } from './support/until.js';

watchLog();
const ORDER = { route: '/orders/:id/events', channels: 'order:7' };

describe.each(platforms)('With a faulty Redis and tickets on %s,', (_, platform) => {
  let server: RedisServer;
  let proxy: Proxy;
  let node: Awaited<ReturnType<typeof startTickets>>;
  const sources: SseSource[] = [];

  beforeEach(async () => {
    server = await startRedis();
    proxy = await Proxy.start(server.port);
    node = await startTickets(platform, { redis: proxy.url, requireRedis: true });
  });
  afterEach(() => {
    for (const source of sources.splice(0)) source.close();
    proxy.close();
  });

  it('a request retries while Redis is unreachable, and its ticket is still valid', async () => {
    const ticket = await node.tickets.issue({ ...ORDER, ttlMs: 60_000 });
    proxy.refuse = true;
    proxy.cut();
    const client = await node.read('orders/7/events', ticket);
    await until(() => client.ended);
    expect([client.status, client.events]).toEqual([200, []]);
    expect(client.text).toMatch(/^retry: \d+\n$/);
    expect(client.headers['referrer-policy']).toBe('no-referrer');
    expect(node.sse.stats().refused).toBe(1);
    await expect(node.tickets.issue(ORDER)).rejects.toMatchObject({ code: 'SSE_UNAVAILABLE', status: 503 });
    proxy.refuse = false;
    await until(() => node.sse.stats().connected);
    const again = await node.read('orders/7/events', ticket);
    expect((await again.next()).event).toBe('sse.open');
  });

  it('a request whose ticket was redeemed without a reply retries, gets a 401, and the client a new ticket', async () => {
    const used: string[] = [];
    proxy.onUp = (chunk) => {
      // The server executes the command, and its reply is lost with the connection.
      if (/\bgetdel\b/i.test(chunk.toString()) && used.length === 1) proxy.dropDown = true;
    };
    const statuses: number[] = [];
    const source = connect(`${node.url}/orders/7/events`, {
      ticket: async () => {
        // The second attempt brings the first ticket again, as an `EventSource` does.
        await until(() => used.length !== 1 || node.sse.stats().connected);
        const ticket = used.length === 1 ? used[0]! : await node.tickets.issue(ORDER);
        used.push(ticket);
        return ticket;
      },
      fetch: async (...args) => {
        const response = await fetch(...args);
        statuses.push(response.status);
        if (statuses.length === 1) {
          proxy.dropDown = false;
          proxy.onUp = () => undefined;
          proxy.cut();
        }
        return response;
      },
    });
    sources.push(source);
    await until(() => source.lastEventId !== '');
    expect(statuses).toEqual([200, 401, 200]);
    expect(new Set(used).size).toBe(2);
  });

  it('the client of this package reconnects with a new ticket each time, and resumes', async () => {
    const relay = await Relay.start(node.url);
    const data: unknown[] = [];
    let count = 0;
    const source = connect(`${relay.url}/orders/7/events`, {
      ticket: () => (count++, node.tickets.issue(ORDER)),
    });
    sources.push(source);
    source.on('message', (value) => data.push(value));
    await until(() => source.state === 'open' && source.lastEventId !== '');
    await node.sse.publish(1, { channel: 'order:7' });
    await until(() => data.length === 1);
    relay.cut();
    await node.sse.publish(2, { channel: 'order:7' });
    await until(() => data.length === 2);
    await node.sse.disconnect({ channel: 'order:7' });
    await node.sse.publish(3, { channel: 'order:7' });
    await until(() => data.length === 3);
    expect(data).toEqual([1, 2, 3]);
    expect(count).toBeGreaterThanOrEqual(3);
    const tickets = relay.heads.map((head) => /[?&]ticket=([\w-]{43})/.exec(head)?.[1]);
    expect(new Set(tickets).size).toBe(count);
  });

  it('a worker without HTTP issues tickets for another node', async () => {
    const program = `
      import { NestFactory } from '@nestjs/core';
      import { SseModule, SseTickets } from 'nestjs-sse-channels';
      const app = await NestFactory.createApplicationContext(SseModule.forRoot(process.env.REDIS), { logger: false });
      console.log(await app.get(SseTickets).issue(JSON.parse(process.env.ISSUE)));
      await app.close();
    `;
    const env = { REDIS: server.url, ISSUE: JSON.stringify(ORDER) };
    const worker = new Cli('', env, ['node', '--input-type=module', '--eval', program]);
    expect(await worker.end()).toBe(0);
    const client = await node.read('orders/7/events', worker.stdout.trim());
    expect((await client.next()).event).toBe('sse.open');
  });
});
