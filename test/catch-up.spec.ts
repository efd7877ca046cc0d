import { get, type IncomingMessage } from 'node:http';
import type { Server, Socket } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import { Controller, type INestApplication, Query } from '@nestjs/common';
import { createParser } from 'eventsource-parser';
import { SseChannel, SseModule, SseService } from 'nestjs-sse-channels';
import { platforms, startApp } from './support/app.js';
import { connect } from './support/client.js';
import { randomPrefix, redisUrl } from './support/redis.js';
import { until } from './support/until.js';

@Controller()
class ChannelsController {
  @SseChannel('channel')
  channel(@Query('channel') channel: string[]) {
    return channel;
  }
}

const brokers = [
  ['in memory', (history?: object) => ({ history })],
  ['on Redis', (history?: object) => ({ redis: redisUrl(), prefix: randomPrefix(), history })],
] as const;

/** A client that is paused before its first read, with the server's socket. */
async function stalled(app: INestApplication, path: string, headers = {}) {
  const sockets = new Set<Socket>();
  const server = app.getHttpServer() as Server;
  server.on('connection', (socket: Socket) => sockets.add(socket));
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    get(path, { headers, agent: false }, resolve).on('error', reject);
  });
  response.pause().setEncoding('utf8');
  return { response, socket: [...sockets].at(-1)! };
}

const COUNT = 60;
const EVENTS = 8;
const DATA = 'x'.repeat(70_000);
/** A history page is 512 KiB and the event that exceeds it. The event loop may add as much meanwhile. */
const MOST = 2 * (524_288 + 2 * DATA.length);

describe.each(platforms)('A client that does not read, on %s', (_, platform) => {
  it.each(brokers)(
    'has one buffered history page, for any number of channels, and then gets all events: %s',
    async (_broker, options) => {
      const { app, url } = await startApp(platform, {
        imports: [SseModule.forRoot(options())],
        controllers: [ChannelsController],
      });
      const sse = app.get(SseService);
      const names = Array.from({ length: COUNT }, (__, n) => `c${n}`);
      const path = `${url}/channel?${names.map((name) => `channel=${name}`).join('&')}`;
      const first = await connect(path);
      const { id } = await first.next();
      first.close();
      await until(() => sse.connections().length === 0);
      for (const name of names) {
        await Promise.all(
          Array.from({ length: EVENTS }, (__, n) => sse.publish(`${name} ${n} ${DATA}`, { channel: name })),
        );
      }

      const { response, socket } = await stalled(app, path, { 'last-event-id': id! });
      // Until the buffers of the system are full, and the count is stable.
      let seen = -1;
      let most = 0;
      for (let still = 0; still < 30;) {
        await until(() => new Promise((resolve) => setTimeout(() => resolve(true), 10)));
        most = Math.max(most, socket.writableLength);
        still = socket.bytesWritten === seen && socket.writableLength > 0 ? still + 1 : 0;
        seen = socket.bytesWritten;
      }
      expect(most).toBeLessThan(MOST);

      const received = new Map<string, number[]>(names.map((name) => [name, []]));
      const parser = createParser({
        onEvent: ({ data }) => {
          const [name, n] = data.split(' ', 2);
          received.get(name!)!.push(Number(n));
        },
      });
      response.on('data', (chunk: string) => {
        most = Math.max(most, socket.writableLength);
        parser.feed(chunk);
      });
      response.resume();
      const total = () => [...received.values()].reduce((sum, { length }) => sum + length, 0);
      await until(total, (sum) => sum === COUNT * EVENTS);
      const expected = Array.from({ length: EVENTS }, (__, n) => n);
      for (const events of received.values()) expect(events).toEqual(expected);
      expect(most).toBeLessThan(MOST);
      expect(sse.stats().slow).toBe(0);
      response.destroy();
    },
  );

  it.each(brokers)(
    'fast enough catches up on the same connection, and gets each event once and in order: %s',
    async (_broker, options) => {
      const { app, url } = await startApp(platform, {
        imports: [SseModule.forRoot(options({ maxEvents: 10_000, maxReplayEvents: 10 }))],
        controllers: [ChannelsController],
      });
      const sse = app.get(SseService);
      const { response, socket } = await stalled(app, `${url}/channel?channel=a&channel=b`);
      const expected: Record<string, string[]> = { a: [], b: [] };
      const publish = async (channel: string, text: string, transient = false) => {
        expected[channel]!.push(text);
        await sse.publish(text.padEnd(70_000), { channel, transient });
        await turn();
      };
      let count = 0;
      for (; sse.stats().behind === 0; count++) await publish(count % 2 === 0 ? 'a' : 'b', `${count}`);
      // Much more than the process buffers.
      for (let n = 0; n < 100; n++) await publish(n % 3 === 0 ? 'a' : 'b', `more ${n}`);
      expect(socket.writableLength).toBeLessThan(MOST);
      await publish('b', 'not stored', true);
      await publish('b', 'last');

      const received: Record<string, string[]> = { a: [], b: [] };
      const ids = new Set<string>();
      const parser = createParser({
        onEvent: ({ id, event, data }) => {
          if (event === 'sse.open') return;
          const text = data.trimEnd();
          received[expected.a!.includes(text) ? 'a' : 'b']!.push(event ?? text);
          ids.add(id!);
        },
      });
      response.on('data', (chunk: string) => parser.feed(chunk)).resume();
      const total = () => received.a!.length + received.b!.length;
      await until(total, (sum) => sum === count + 102);
      // It arrives after all stored events.
      const stored = expected.b!.filter((text) => text !== 'not stored');
      expect(received).toEqual({ a: expected.a, b: [...stored, 'not stored'] });
      expect([ids.size, sse.stats().slow, sse.connections().length]).toEqual([count + 101, 0, 1]);
      await publish('a', 'live again');
      await until(() => received.a!.at(-1) === 'live again');
      response.destroy();
    },
  );
});
