import { afterEach, describe, expect, it, jest } from '@jest/globals';
import { Controller, Param } from '@nestjs/common';
import { Redis } from 'ioredis';
import { SseChannel, SseModule, SseService } from 'nestjs-sse-channels';
import { MemorySseBroker } from '../src/broker/memory/memory.broker.js';
import { RedisSseBroker } from '../src/broker/redis/redis.broker.js';
import { READ } from '../src/broker/redis/scripts.js';
import { checkPublication } from '../src/event/event.js';
import { platforms, startApp } from './support/app.js';
import { connect } from './support/client.js';
import { adminUrl, randomPrefix, redisUrl } from './support/redis.js';
import { until } from './support/until.js';

/** The expiry of a channel without events, in s. */
const UNUSED_S = 600;
const DAY_S = 86_400;

@Controller()
class OrdersController {
  @SseChannel('orders/:id')
  order(@Param('id') id: string) {
    return `order:${id}`;
  }
}

describe.each(platforms)('A channel without events on %s', (_, platform) => {
  const start = async () => {
    const prefix = randomPrefix();
    const metadata = {
      imports: [SseModule.forRoot({ redis: redisUrl(), prefix })],
      controllers: [OrdersController],
    };
    const { app, url } = await startApp(platform, metadata);
    const admin = new Redis(adminUrl());
    closing.push(async () => admin.disconnect());
    return {
      url,
      sse: app.get(SseService),
      admin,
      prefix,
      meta: (id: number) => `${prefix}{order:${id}}:meta`,
    };
  };

  it('expires minutes after its last reader, for any names that readers invent', async () => {
    const { url, admin, prefix } = await start();
    for (let id = 0; id < 20; id++) {
      const client = await connect(`${url}/orders/${id}`);
      await client.next();
      client.close();
    }
    const keys = (await admin.keys(`${prefix}*`)).filter((key) => key.includes('order'));
    expect(keys).toHaveLength(20);
    for (const key of keys) {
      const ttl = await admin.ttl(key);
      expect(ttl).toBeGreaterThan(UNUSED_S - 60);
      expect(ttl).toBeLessThanOrEqual(UNUSED_S);
    }
  });

  it('is stored for a day once an event is published, from the position of its readers', async () => {
    const { url, sse, admin, meta } = await start();
    const first = await connect(`${url}/orders/7`);
    const { id } = await first.next();
    first.close();
    await sse.publish('paid', { channel: 'order:7' });
    expect(await admin.ttl(meta(7))).toBeGreaterThan(DAY_S - 60);
    const back = await connect(`${url}/orders/7`, { 'last-event-id': id! });
    expect(await back.next()).toMatchObject({ data: 'paid' });
    expect(await admin.ttl(meta(7))).toBeGreaterThan(DAY_S - 60);
  });

  it('sends one sse.reset and then live events to a client that reconnects after it expired', async () => {
    const { url, sse, admin, meta } = await start();
    const first = await connect(`${url}/orders/7`);
    const { id } = await first.next();
    first.close();
    await until(() => sse.connections().length === 0);
    await admin.del(meta(7));
    const channel = 'order:7';
    await sse.publish('missed', { channel });
    const back = await connect(`${url}/orders/7`, { 'last-event-id': id! });
    expect(await back.next()).toMatchObject({ event: 'sse.reset', data: expect.stringContaining('lost') });
    await sse.publish('next', { channel });
    expect(await back.next()).toMatchObject({ data: 'next' });
  });

  it('sends one sse.reset to a connected client if it expired, which only an outage can cause', async () => {
    const { url, sse, admin, meta } = await start();
    const client = await connect(`${url}/orders/7`);
    await client.next();
    await admin.del(meta(7));
    const channel = 'order:7';
    await sse.publish('first', { channel });
    await sse.publish('second', { channel });
    expect(await client.next()).toMatchObject({ event: 'sse.reset' });
    await sse.publish('third', { channel });
    await until(() => client.events.at(-1)?.data === 'third');
    expect(client.events.filter(({ event }) => event === 'sse.reset')).toHaveLength(1);
  });
});

const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  jest.useRealTimers();
  await Promise.all(closing.splice(0).map((close) => close()));
});

describe('A channel without events', () => {
  it('is stored in memory only while it has readers', async () => {
    jest.useFakeTimers();
    const broker = new MemorySseBroker();
    const tipOf = async (channel: string) => (await broker.read(channel, [], 0)).tip;
    const publish = (channel: string) => broker.publish(channel, checkPublication('x', {}, 100));
    const [read, left] = [await tipOf('read'), await tipOf('left')];
    const published = await publish('published');
    for (let minute = 0; minute < 30; minute++) {
      jest.advanceTimersByTime(60_000);
      expect(await tipOf('read')).toBe(read);
    }
    expect(await tipOf('left')).not.toBe(left);
    expect(await tipOf('published')).toBe(published);
    // With its first event, it is stored for a day.
    await publish('read');
    jest.advanceTimersByTime(3_600_000);
    expect((await broker.read('read', [read], 1)).tip).not.toBe(await tipOf('left'));
    const { after } = await broker.read('read', [await tipOf('read')], 1);
    expect(after).toBeDefined();
  });

  it.each<[string, (broker: MemorySseBroker, n: number) => Promise<unknown>]>([
    ['read', (broker, n) => broker.read(`c${n}`, [], 0)],
    ['publication', (broker, n) => broker.publish(`c${n}`, checkPublication(1, {}, 100))],
    ['ticket', (broker, n) => broker.tickets.put(`c${n}`, '', 1_000)],
  ])('leaves nothing in memory after its %s', async (_, use) => {
    jest.useFakeTimers();
    const broker = new MemorySseBroker();
    for (let n = 0; n < 1_000; n++) await use(broker, n);
    const deleted = jest.spyOn(Map.prototype, 'delete');
    jest.advanceTimersByTime(3 * DAY_S * 1_000);
    const names = deleted.mock.calls.map(([key]) => String(key));
    deleted.mockRestore();
    expect(new Set(names.filter((key) => /^c\d+$/.test(key))).size).toBe(1_000);
    await broker.close();
  });

  it('works with a node of the previous release, which stores it for a day', async () => {
    const prefix = randomPrefix();
    const [broker, admin] = [new RedisSseBroker(redisUrl(), prefix), new Redis(adminUrl())];
    closing.push(() => broker.close().finally(() => admin.disconnect()));
    const keys = ['history', 'meta'].map((name) => `${prefix}{a}:${name}`);
    const before = READ.replace('if tip == genesis then', 'if false then');
    const [tip] = (await admin.eval(before, 2, ...keys, 7, '', '', 0, '', '', '')) as [string];
    expect(await admin.ttl(keys[1]!)).toBeGreaterThan(DAY_S - 60);
    expect((await broker.read('a', [tip], 1)).after).toBe(tip);
    expect(await admin.ttl(keys[1]!)).toBeLessThanOrEqual(UNUSED_S);
    const first = await broker.publish('a', checkPublication('x', {}, 100));
    const page = (await admin.eval(before, 2, ...keys, 7, '', '', 10, '', '', '', tip)) as [
      string,
      string,
      unknown[],
    ];
    expect(page.slice(0, 2)).toEqual([first, tip]);
    expect(page[2]).toHaveLength(1);
    expect(await admin.ttl(keys[1]!)).toBeGreaterThan(DAY_S - 60);
  });
});
