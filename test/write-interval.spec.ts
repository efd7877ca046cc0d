import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it, jest } from '@jest/globals';
import { Controller, Get, Param, Query } from '@nestjs/common';
import { SseChannel, SseModule, SseService, SseStream, SseStreams } from 'nestjs-sse-channels';
import { Outbox } from '../src/http/outbox.js';
import { type Platform, platforms, startApp } from './support/app.js';
import { connect, type SseClient } from './support/client.js';
import { connectRaw, dataByChunk } from './support/raw-connection.js';
import { startHeld, stores } from './support/streams-app.js';
import { until } from './support/until.js';

const INTERVAL = 1_000;

@Controller()
class IntervalController {
  constructor(private readonly streams: SseStreams) {}

  @SseChannel('module')
  module(@Query('channel') channel: string | string[] = 'sse') {
    return channel;
  }

  @SseChannel('each', { writeIntervalMs: 0 })
  each() {
    return 'sse';
  }

  @SseChannel('together', { allow: ['sse'], writeIntervalMs: INTERVAL })
  together() {
    return 'sse';
  }

  @Get('streams/:id')
  @SseStream()
  stream(@Param('id') id: string) {
    return this.streams.attach(id);
  }

  @Get('together/:id')
  @SseStream({ writeIntervalMs: INTERVAL })
  streamTogether(@Param('id') id: string) {
    return this.streams.attach(id);
  }
}

async function start(platform: Platform, options: object) {
  const imports = [SseModule.forRoot(options)];
  const { app, url } = await startApp(platform, { imports, controllers: [IntervalController] });
  const open = (path: string) => connectRaw(url, `GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
  return { app, url, open, sse: app.get(SseService), streams: app.get(SseStreams) };
}

const number = (n: number) => `data: ${n}\n`;
/** The numbers from `from` on, by chunk. */
const numbersOf = (text: string, from = 0) =>
  dataByChunk(text)
    .map((data) => data.map(Number).filter((n) => n >= from))
    .filter(({ length }) => length > 0);

/**
 * Acts within half an interval, in which the timer of the connections ends at most once.
 *
 * @param act is repeated where this process took longer
 * @param prepare comes before each attempt, and may take longer
 */
async function withinInterval(act: () => Promise<void>, prepare?: () => Promise<void>): Promise<void> {
  for (let n = 0; n < 5; n++) {
    await prepare?.();
    const begun = performance.now();
    await act();
    if (performance.now() - begun < INTERVAL / 2) return;
  }
  throw new Error('Each attempt took more than half an interval');
}

const lastOf = ({ events }: SseClient) => events.at(-1)?.data;

describe.each(platforms)('With an interval between writes, on %s', (_, platform) => {
  it.each([
    [INTERVAL, ['/module', '/module', '/module?channel=sse&channel=other', '/together'], ['/each']],
    [0, ['/together', '/together'], ['/module', '/each']],
  ])('%i, all events of it are one chunk, or of each turn on other routes', async (ms, together, each) => {
    const { sse, open } = await start(platform, { writeIntervalMs: ms });
    const begin = jest.spyOn(Outbox.prototype, 'begin');
    const clients = await Promise.all([...together, ...each].map(open));
    let [from, count] = [0, 0];
    await withinInterval(async () => {
      from = count;
      for (; count < from + 10; count++) {
        await sse.publish(count);
        await turn();
      }
    });
    await Promise.all(clients.map(({ text }) => until(() => text().includes(number(count - 1)))));
    for (const [n, { text }] of clients.entries()) {
      const chunks = numbersOf(text(), from);
      if (n < together.length) expect(chunks.length).toBeLessThanOrEqual(2);
      else expect(chunks).toHaveLength(10);
    }
    const all = Array.from({ length: count }, (_value, n) => n);
    for (const { text } of clients) expect(numbersOf(text()).flat()).toEqual(all);
    // The connections with an interval share one, and with it batches and a timer.
    expect(new Set(begin.mock.contexts).size).toBe(2);
    begin.mockRestore();
    for (const { socket } of clients) socket.destroy();
  });

  it('the first event after a silence leaves at once', async () => {
    const { sse, url } = await start(platform, { writeIntervalMs: INTERVAL });
    const [busy, silent] = await Promise.all(
      ['busy', 'silent'].map((channel) => connect(`${url}/module?channel=${channel}`)),
    );
    await Promise.all([busy!.next(), silent!.next()]);
    let last: string | undefined;
    await withinInterval(
      async () => {
        await sse.publish('waits', { channel: 'busy' });
        await sse.publish('leaves', { channel: 'silent' });
        await silent!.next();
        last = lastOf(busy!);
      },
      // From here on, the connection waits for the next interval.
      async () => {
        await sse.publish('first', { channel: 'busy' });
        await until(() => lastOf(busy!) === 'first');
      },
    );
    expect(last).toBe('first');
    await until(() => lastOf(busy!) === 'waits');
  });

  it('a flood does not wait for it', async () => {
    const { sse, url } = await start(platform, { writeIntervalMs: INTERVAL });
    const [few, many] = await Promise.all(
      ['few', 'many'].map((channel) => connect(`${url}/module?channel=${channel}`)),
    );
    await Promise.all([few!.next(), many!.next()]);
    let last: string | undefined;
    await withinInterval(
      async () => {
        await sse.publish('waits', { channel: 'few' });
        for (let n = 0; n < 20; n++) await sse.publish('x'.repeat(5_000), { channel: 'many' });
        await until(() => lastOf(many!) !== 'first');
        last = lastOf(few!);
      },
      // From here on, both connections wait for the next interval.
      async () => {
        for (const channel of ['few', 'many']) await sse.publish('first', { channel });
        await until(() => [few, many].every((client) => lastOf(client!) === 'first'));
      },
    );
    expect(last).toBe('first');
    await until(() => lastOf(few!) === 'waits');
  });

  it('the end of the application sends the waiting events', async () => {
    const { app, sse, url } = await start(platform, { writeIntervalMs: INTERVAL });
    const client = await connect(`${url}/module`);
    await client.next();
    const events = Array.from({ length: 5 }, (_value, n) => `${n}`);
    for (const data of events) await sse.publish(data);
    await app.close();
    await until(() => client.ended);
    expect(client.response.complete).toBe(true);
    expect(client.events.slice(1).map(({ data }) => data)).toEqual(events);
  });

  it('disconnect() sends the waiting events', async () => {
    const { sse, url } = await start(platform, { writeIntervalMs: INTERVAL });
    const client = await connect(`${url}/module`);
    await client.next();
    await sse.publish('last');
    await sse.disconnect({ channel: 'sse' });
    await until(() => client.ended);
    expect(client.events.at(-1)).toMatchObject({ data: 'last' });
  });

  it.each(stores)('a client that resumes gets each event once, in order (%s)', async (_store, options) => {
    const { sse, url } = await start(platform, { ...options(), writeIntervalMs: 20 });
    const open = (id?: string) =>
      connect(`${url}/module?channel=sse&channel=other`, id === undefined ? {} : { 'last-event-id': id });
    const dataOf = ({ events }: SseClient) => events.filter(({ event }) => !event).map(({ data }) => data);
    const seen: string[] = [];
    let client = await open();
    await client.next();
    const published = publish(sse, 300);
    for (;;) {
      const enough = Math.min(300, seen.length + 40);
      await until(() => seen.length + dataOf(client).length >= enough);
      client.close();
      seen.push(...dataOf(client));
      if (seen.length >= 300) break;
      client = await open(client.events.at(-1)!.id);
    }
    await published;
    expect(seen).toEqual(Array.from({ length: 300 }, (_value, n) => `${n}`));
  });

  it('a stream has its events in fewer chunks, and its end at once', async () => {
    const { streams, open } = await start(platform, {});
    const { out, release } = await startHeld(streams, 'a', { flushMs: 0 });
    const clients = await Promise.all(['/streams/a', '/together/a'].map(open));
    const [each, together] = clients.map(({ text }) => text);
    let [from, count] = [0, 0];
    await withinInterval(async () => {
      from = count;
      for (; count < from + 10; count++) {
        out.write(count);
        await until(() => each!().includes(number(count)));
      }
    });
    await until(() => together!().includes(number(count - 1)));
    expect(numbersOf(each!(), from)).toHaveLength(10);
    expect(numbersOf(together!(), from).length).toBeLessThanOrEqual(2);
    for (const { socket } of clients) socket.destroy();
    const last = await open('/together/a');
    release();
    await until(() => last.text().includes('event: sse.end\n'));
    last.socket.destroy();
  });
});

async function publish(sse: SseService, count: number): Promise<void> {
  for (let n = 0; n < count; n++) {
    await sse.publish(n);
    if (n % 3 === 0) await turn();
  }
}

describe('The interval of a route', () => {
  it.each([-1, 1_001, 0.5, NaN, '20', null, undefined])('may not be %p', (ms) => {
    const options = { writeIntervalMs: ms as number };
    const refusal = expect.objectContaining({
      code: 'SSE_OPTIONS',
      message: expect.stringMatching(/`writeIntervalMs` to be a whole number from 0 to 1000, got /),
    });
    expect(() => SseChannel('x', options)).toThrow(refusal);
    expect(() => SseChannel('x', { allow: ['a'], ...options })).toThrow(refusal);
    expect(() => SseStream(options)).toThrow(refusal);
  });
});
