import { request } from 'node:http';
import { createParser, type EventSourceMessage } from 'eventsource-parser';
import { describe, expect, it } from '@jest/globals';
import { SseBroker } from '../src/broker/broker.js';
import { encodeStreamEnd, encodeStreamEvent } from '../src/event/message.js';
import { platforms } from './support/app.js';
import { randomPrefix, redisUrl } from './support/redis.js';
import { startNode } from './support/streams-app.js';
import { eventually } from './support/until.js';

const SIZES = [1, 2, 64];

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
  it('that moves to another node after each of 500 events, in packs of 1, 2 and 64, gets each event once', async () => {
    const options = { redis: redisUrl(), prefix: randomPrefix() };
    const nodes = [await startNode(platform, options), await startNode(platform, options)] as const;
    const { streams } = nodes[0].app.get(SseBroker);
    const leaseMs = 60_000;
    const start = { owner: 'me', leaseMs, keepMs: 60_000, replaces: false, needsReaders: false };
    await streams.start('a', start);
    const events = Array.from({ length: 500 }, (__, n) => encodeStreamEvent(String(n)));
    let [at, number] = [0, 1];
    const append = async (to: number) => {
      const packs = [];
      for (let n = 0; at < to; n++) {
        const pack = events.slice(at, Math.min(at + SIZES[n % SIZES.length]!, to));
        packs.push({ count: pack.length, events: `[${pack.join(',')}]` });
        at += pack.length;
      }
      await streams.append('a', { owner: 'me', leaseMs, number, packs });
      number += packs.length;
    };
    // The first half before any reader, the rest while they read.
    await append(250);
    const got: string[] = [];
    let lastEventId: string | undefined;
    for (let n = 0; n < 500; n++) {
      if (n === 200) await append(500);
      const url = `${nodes[n % 2]!.url}/streams/a`;
      const event = await eventually('The next event', firstEvent(url, lastEventId));
      lastEventId = event!.id;
      got.push(event!.data);
    }
    expect(got).toEqual(events.map((__, n) => String(n)));
    const end = { status: 'done' } as const;
    const last = { count: 1, events: `[${encodeStreamEnd(JSON.stringify(end))}]` };
    await streams.append('a', { owner: 'me', leaseMs, number, packs: [last], end });
    expect(await firstEvent(`${nodes[1].url}/streams/a`, lastEventId)).toMatchObject({ event: 'sse.end' });
  });
});
