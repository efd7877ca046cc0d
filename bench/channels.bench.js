/**
 * The cost of an event of 100 bytes for a server whose 200 clients read many channels each: all clients the same channels, or each one
 * channel of its own and shared ones. The ids of such connections contain every channel.
 *
 *   npm run build && node bench/channels.bench.js
 */
import 'reflect-metadata';
import { connect } from 'node:net';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { SseModule, SseService } from '../dist/index.js';
import { start } from './fanout/ipc.js';
import { say, startRedis } from './redis.js';

const [CLIENTS, EVENTS, SIZE] = [200, 2_000, 100];
const micros = ({ user, system }) => user + system;
const redis = await startRedis(16_387);

class PublisherModule {}
Module({ imports: [SseModule.forRoot(redis.url)] })(PublisherModule);
const publisher = await NestFactory.createApplicationContext(PublisherModule, { logger: ['error'] });
const sse = publisher.get(SseService);

async function measure(count, isOwn) {
  await redis.admin.flushall();
  const server = await start('../floods/server.js', { redis: redis.url, limit: 1_000 });
  const names = Array.from({ length: count }, (_, n) => `shared${n}`);
  let [bytes, events] = [0, 0];
  const sockets = Array.from({ length: CLIENTS }, (_, client) => {
    const channels = isOwn ? [...names.slice(1), `own${client}`] : names;
    const socket = connect(server.port, '127.0.0.1');
    const query = channels.map((name) => `shared=${name}`).join('&');
    socket.write(`GET /one?${query} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
    socket.setEncoding('latin1').on('data', (text) => {
      bytes += text.length;
      events += text.split('\ndata: ').length - 1;
    });
    return socket;
  });
  const arrived = async (number) => {
    while (events < number) await new Promise((resolve) => setTimeout(resolve, 20));
  };
  try {
    await arrived(CLIENTS);
    [bytes, events] = [0, 0];
    const before = micros(await server.call('cpu'));
    for (let n = 0; n < EVENTS; n++) {
      const channel = names[1 + (n % Math.max(1, count - 1))] ?? names[0];
      await sse.publish('x'.repeat(SIZE), { channel });
      // One event per turn, and never more than the clients can read.
      await arrived((n - 20) * CLIENTS);
    }
    await arrived(EVENTS * CLIENTS);
    const cpu = micros(await server.call('cpu')) - before;
    return { count, isOwn, cpu: (cpu / events).toFixed(2), bytes: Math.round(bytes / events) };
  } finally {
    for (const socket of sockets) socket.destroy();
    await server.stop();
  }
}

say('| Channels | Same channels on all connections | Server CPU, µs per delivery | Bytes per delivery |');
say('| ---: | --- | ---: | ---: |');
for (const count of [1, 2, 10, 100]) {
  for (const isOwn of count === 1 ? [false] : [false, true]) {
    const { cpu, bytes } = await measure(count, isOwn);
    say(`| ${count} | ${isOwn ? 'no: one channel of its own each' : 'yes'} | ${cpu} | ${bytes} |`);
  }
}
await publisher.close();
redis.stop();
