import { get, type IncomingMessage } from 'node:http';
import type { Server, Socket } from 'node:net';
import { describe, expect, it } from '@jest/globals';
import { Controller, Query } from '@nestjs/common';
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
  ['in memory', () => ({})],
  ['on Redis', () => ({ redis: redisUrl(), prefix: randomPrefix() })],
] as const;

const COUNT = 60;
const EVENTS = 8;
const DATA = 'x'.repeat(70_000);
/** A page of history: 512 KiB, and the event that goes over it; and as much that the event loop may add meanwhile. */
const MOST = 2 * (524_288 + 2 * DATA.length);

describe.each(platforms)('A client that does not read, on %s', (_, platform) => {
  it.each(brokers)(
    'has a page waiting for it, however many channels it comes back to, and then gets all of them: %s',
    async (_broker, options) => {
      const { app, url } = await startApp(platform, {
        imports: [SseModule.forRoot(options())],
        controllers: [ChannelsController],
      });
      const sse = app.get(SseService);
      const sockets = new Set<Socket>();
      (app.getHttpServer() as Server).on('connection', (socket: Socket) => sockets.add(socket));
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

      sockets.clear();
      const headers = { 'last-event-id': id! };
      const response = await new Promise<IncomingMessage>((resolve, reject) => {
        get(path, { headers, agent: false }, resolve).on('error', reject);
      });
      response.pause();
      const [socket] = sockets;
      // Until the system takes no more, and nothing is added.
      let seen = -1;
      let most = 0;
      for (let still = 0; still < 30;) {
        await until(() => new Promise((resolve) => setTimeout(() => resolve(true), 10)));
        most = Math.max(most, socket!.writableLength);
        still = socket!.bytesWritten === seen && socket!.writableLength > 0 ? still + 1 : 0;
        seen = socket!.bytesWritten;
      }
      expect(most).toBeLessThan(MOST);

      const received = new Map<string, number[]>(names.map((name) => [name, []]));
      const parser = createParser({
        onEvent: ({ data }) => {
          const [name, n] = data.split(' ', 2);
          received.get(name!)!.push(Number(n));
        },
      });
      response.setEncoding('utf8').on('data', (chunk: string) => {
        most = Math.max(most, socket!.writableLength);
        parser.feed(chunk);
      });
      response.resume();
      const total = () => [...received.values()].reduce((sum, { length }) => sum + length, 0);
      await until(total, (sum) => sum === COUNT * EVENTS);
      const expected = Array.from({ length: EVENTS }, (__, n) => n);
      for (const events of received.values()) expect(events).toEqual(expected);
      expect(most).toBeLessThan(MOST);
      expect(sse.stats().cut).toBe(0);
      response.destroy();
    },
  );
});
