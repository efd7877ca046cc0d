import { get, type IncomingMessage } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { until } from '../support/until.js';
import { check } from './check.js';
import { Rig } from './rig.js';

/** The arguments of `soak.js`. */
const { outage, seed, clients, channels } = JSON.parse(process.env.SOAK!) as Record<string, number>;
const OUTAGE = 'Redis is stopped';
const HEARTBEAT_MS = 15_000;
const GROWTH = 0.05;
const say = (text: string) => process.stdout.write(`${text}\n`);
const mib = (bytes: number) => `${(bytes / 2 ** 20).toFixed(1)} MiB`;
const mean = (numbers: number[]) => numbers.reduce((sum, each) => sum + each, 0) / numbers.length;

describe('While Redis is stopped', () => {
  beforeAll(() => Logger.overrideLogger(false));

  it(
    'connections stay open with heartbeats, memory stays flat, and all clients get all events afterwards',
    async () => {
      // A client that disconnects has another reason.
      const names = Array.from({ length: channels! }, (_, n) => `channel-${n}`);
      const rig = new Rig(seed!, { channels: names, maxConnectionAgeMs: false });
      try {
        await rig.start({ clients, rate: 50 });
        for (const client of rig.clients) client.settle();
        await until(() => rig.clients.every(({ deliveries }) => deliveries.length > 1));
        const stream = await open(`http://127.0.0.1:${rig.nodes[0]!.port}/events/silent`);
        let heartbeats = 0;
        stream.on('data', (chunk: string) => (heartbeats += chunk.split(':\n').length - 1));

        rig.sightings.fault = OUTAGE;
        await rig.server.kill();
        const heaps: number[] = [];
        for (let minute = 0; minute < outage!; minute++) {
          await sleep(60_000);
          const { heap, rss } = await rig.nodes[0]!.memory();
          heaps.push(heap);
          say(`After ${minute + 1} minutes: heap ${mib(heap)}, RSS ${mib(rss)}, ${heartbeats} heartbeats`);
        }
        const left = rig.clients.filter(({ reconnects }) => reconnects.includes(OUTAGE));

        const backAt = performance.now();
        await rig.server.start();
        await rig.settle();
        say(`All clients have all events ${Math.round(performance.now() - backAt)} ms after Redis started`);
        const report = await check(rig);
        say(report.table(new Map([[OUTAGE, 1]])));
        stream.destroy();
        await rig.leave();
        expect([report.violations, rig.problems, left.length]).toEqual([[], [], 0]);
        expect(heartbeats).toBeGreaterThanOrEqual(Math.floor((outage! * 60_000) / HEARTBEAT_MS) - 1);
        const third = Math.ceil(heaps.length / 3);
        const [first, last] = [heaps.slice(0, third), heaps.slice(-third)].map(mean) as [number, number];
        expect(last).toBeLessThan(first * (1 + GROWTH));
      } finally {
        await rig.stop();
      }
    },
    outage! * 60_000 + 300_000,
  );
});

function open(url: string): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    get(url, { agent: false }, (response) => resolve(response.setEncoding('utf8'))).on('error', reject);
  });
}
