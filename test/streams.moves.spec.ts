import { request } from 'node:http';
import { createParser, type EventSourceMessage } from 'eventsource-parser';
import { describe, expect, it } from '@jest/globals';
import { SseBroker } from '../src/broker/broker.js';
import { encodeStreamEnd, encodeStreamEvent } from '../src/event/message.js';
import { platforms } from './support/app.js';
import { randomPrefix, redisUrl } from './support/redis.js';
import { startNode } from './support/streams-app.js';
import { eventually } from './support/until.js';

/** The first event that a client gets, after its last one. It then closes the connection. */
function firstEvent(url: string, lastEventId: string | undefined): Promise<EventSourceMessage | undefined> {
  const headers: Record<string, string> = lastEventId === undefined ? {} : { 'last-event-id': lastEventId };
  return new Promise((resolve, reject) => {
    const client = request(url, { headers, agent: false }, (response) => {
      const parser = createParser({
        onEvent: (event) => {
          if (event.event === 'sse.open') return;
          client.destroy();
          resolve(event);
        },
      });
      response.setEncoding('utf8').on('data', (chunk: string) => parser.feed(chunk));
      response.on('error', () => undefined).on('end', () => resolve(undefined));
    });
    client.on('error', reject).end();
  });
}

describe.each(platforms)('A reader of a stream on %s', (_, platform) => {
  it.each([1, 2, 64])(
    'that moves to another node after each of 500 events in packs of %i gets each event once',
    async (size) => {
      const options = { redis: redisUrl(), prefix: randomPrefix() };
      const nodes = [await startNode(platform, options), await startNode(platform, options)] as const;
      const { streams } = nodes[0].app.get(SseBroker);
      const start = { owner: 'me', leaseMs: 60_000, keepMs: 60_000, replaces: false, needsReaders: false };
      await streams.start('a', start);
      const events = Array.from({ length: 500 }, (__, n) => encodeStreamEvent(String(n)));
      const end = { status: 'done' } as const;
      let number = 1;
      // The first half before any reader, the rest while they read.
      const append = (from: number, to: number) => {
        const packs = [];
        for (let at = from; at < to; at += size) {
          const pack = events.slice(at, Math.min(at + size, to));
          packs.push({ count: pack.length, events: `[${pack.join(',')}]` });
        }
        const call = streams.append('a', { owner: 'me', leaseMs: 60_000, number, packs });
        number += packs.length;
        return call;
      };
      await append(0, 250);
      const got: string[] = [];
      let lastEventId: string | undefined;
      for (let n = 0; n < 500; n++) {
        if (n === 200) await append(250, 500);
        const url = `${nodes[n % 2]!.url}/streams/a`;
        const event = await eventually('The next event', firstEvent(url, lastEventId));
        lastEventId = event!.id;
        got.push(event!.data);
      }
      expect(got).toEqual(events.map((___, n) => String(n)));
      const last = { count: 1, events: `[${encodeStreamEnd(JSON.stringify(end))}]` };
      await streams.append('a', { owner: 'me', leaseMs: 60_000, number, packs: [last], end });
      expect(await firstEvent(`${nodes[1].url}/streams/a`, lastEventId)).toMatchObject({ event: 'sse.end' });
    },
  );
});
