import { Controller, Param, Query } from '@nestjs/common';
import { describe, expect, it } from '@jest/globals';
import { type SseEvent, type SseFrom, SseChannel, SseModule, SseService } from 'nestjs-sse-channels';
import { platforms, startApp } from './support/app.js';
import { brokerOptions } from './support/broker-options.js';
import { connect } from './support/client.js';
import { compileModule } from './support/nest-module.js';
import { until } from './support/until.js';

/** A start as part of a path. */
const parse = (from: string) =>
  (/^\d+$/.test(from) ? { last: Number(from) } : from === 'none' ? undefined : from) as SseFrom;

@Controller()
class FromController {
  @SseChannel(':from')
  events(@Param('from') from: string, @Query('channel') channel: string[] | string = 'a') {
    return { channel, from: parse(from) };
  }
}

const valueOf = ({ event, data }: { event?: string; data: string }) =>
  event ? [event, JSON.parse(data) as unknown] : Number(data);

const stores = platforms.flatMap(([name, platform]) =>
  brokerOptions.map(([store, options]) => [name, store, platform, options] as const),
);

describe.each(stores)('A connection that begins with stored events, on %s %s', (_, __, platform, options) => {
  const start = async (more: object = {}) => {
    const imports = [SseModule.forRoot({ ...options(), ...more })];
    const { app, url } = await startApp(platform, { imports, controllers: [FromController] });
    const sse = app.get(SseService);
    const publish = async (from: number, to: number, channel = 'a') => {
      for (let n = from; n < to; n++) await sse.publish(n, { channel });
    };
    return { sse, url, publish };
  };
  /** The first events of a connection. */
  const read = async (url: string, count: number, headers = {}) => {
    const client = await connect(url, headers);
    await until(() => client.events.length >= count);
    return client.events.map(valueOf);
  };
  const open = (more: object = {}) => ['sse.open', { channel: 'a', ...more }];

  it.each([
    ['earliest', [0, 1, 2, 3]],
    ['2', [2, 3]],
    ['9', [0, 1, 2, 3]],
    ['0', []],
    ['live', []],
    ['none', []],
  ])('gets the stored events and then the live ones: %s', async (from, expected) => {
    const { url, publish } = await start();
    await publish(0, 4);
    const client = await connect(`${url}/${from}`);
    await until(() => client.events.length === expected.length + 1);
    await publish(4, 5);
    await until(() => client.events.length === expected.length + 2);
    expect(client.events.map(valueOf)).toEqual([open(), ...expected, 4]);
  });

  it.each([
    ['earliest', { maxReplayEvents: 3 }, [7, 8, 9]],
    ['5', { maxReplayEvents: 3 }, [7, 8, 9]],
    ['earliest', { maxReplayEvents: 0 }, []],
  ])(
    'gets the newest events that the limits allow, and learns of it: %s %j',
    async (from, history, expected) => {
      const { url, publish } = await start({ history });
      await publish(0, 10);
      const reading = read(`${url}/${from}`, expected.length + 1);
      expect(await reading).toEqual([open({ truncated: true }), ...expected]);
    },
  );

  it('gets events beyond one page', async () => {
    const { url, publish } = await start();
    await publish(0, 450);
    const events = await read(`${url}/earliest`, 451);
    expect(events).toEqual([open(), ...Array.from({ length: 450 }, (___, n) => n)]);
  });

  it('gets nothing from before its last event id, which wins', async () => {
    const { sse, url, publish } = await start();
    await publish(0, 4);
    const id = await sse.publish(4, { channel: 'a' });
    await publish(5, 7);
    expect(await read(`${url}/earliest`, 2, { 'last-event-id': id })).toEqual([5, 6]);
    expect(await read(`${url}/earliest?lastEventId=${id}`, 2)).toEqual([5, 6]);
  });

  it('begins so in each of its channels, and in one that its id does not have', async () => {
    const { url, publish } = await start();
    for (const channel of ['a', 'b', 'c']) await publish(0, 3, channel);
    const client = await connect(`${url}/2?channel=a&channel=b`);
    await until(() => client.events.length === 5);
    expect(
      client.events
        .map(({ data }) => data)
        .slice(1)
        .toSorted(),
    ).toEqual(['1', '1', '2', '2']);
    const id = client.events.at(-1)!.id!;
    const more = await connect(`${url}/2?channel=a&channel=b&channel=c`, { 'last-event-id': id });
    await until(() => more.events.filter(({ event }) => !event).length === 2);
    expect(more.events.filter(({ event }) => !event).map(({ data }) => data)).toEqual(['1', '2']);
  });

  it('resumes in the middle of the stored events', async () => {
    const { url, publish } = await start();
    await publish(0, 10);
    const client = await connect(`${url}/earliest`);
    await until(() => client.events.length === 11);
    for (const [n, { id }] of client.events.entries()) {
      const rest = Array.from({ length: 10 - n }, (___, m) => n + m);
      if (n < 10) expect(await read(`${url}/earliest`, rest.length, { 'last-event-id': id! })).toEqual(rest);
    }
  });

  it('is refused where nothing is stored', async () => {
    const { url } = await start({ history: false });
    const response = await fetch(`${url}/earliest`);
    expect([response.status, await response.text()]).toEqual([400, expect.stringContaining('`history`')]);
    expect((await fetch(`${url}/live`).then((live) => (void live.body!.cancel(), live))).status).toBe(200);
  });

  it.each(['latest', '-1', 'all'])('is refused for the start %s', async (from) => {
    const { url } = await start();
    const response = await fetch(`${url}/${from}`);
    expect([response.status, await response.text()]).toEqual([400, expect.stringContaining('from')]);
  });
});

describe.each(brokerOptions)('An observable that begins with stored events %s', (_, options) => {
  const start = async (more: object = {}) => {
    const module = await compileModule({ imports: [SseModule.forRoot({ ...options(), ...more })] });
    return module.get(SseService);
  };
  const collect = (sse: SseService, from: SseFrom) => {
    const events: SseEvent[] = [];
    sse.messages('a', { from }).subscribe((event) => events.push(event));
    return events;
  };
  const dataOf = (events: readonly SseEvent[]) =>
    events.map(({ type, data }) => (type ? [type, data] : data));

  it('emits them, and then the live ones', async () => {
    const sse = await start();
    for (let n = 0; n < 4; n++) await sse.publish(n, { channel: 'a' });
    const events = collect(sse, { last: 2 });
    await until(() => events.length === 2);
    await sse.publish(4, { channel: 'a' });
    await until(() => events.length === 3);
    expect(dataOf(events)).toEqual([2, 3, 4]);
  });

  it('emits sse.open first if more are stored than the limits allow', async () => {
    const sse = await start({ history: { maxReplayEvents: 1 } });
    for (let n = 0; n < 3; n++) await sse.publish(n, { channel: 'a' });
    const events = collect(sse, 'earliest');
    await until(() => events.length === 2);
    expect(dataOf(events)).toEqual([['sse.open', { channel: 'a', truncated: true }], 2]);
  });

  it.each([
    ['earliest', 'earliest'],
    ['the last 150', { last: 150 }],
  ] as const)('neither loses nor repeats events that are published meanwhile: %s', async (__, from) => {
    const sse = await start({ history: { maxEvents: 200, maxReplayEvents: 100 } });
    let count = 0;
    const publish = async () => {
      for (let n = 0; n < 20; n++) void sse.publish(count++, { channel: 'a' });
      await sse.publish(count++, { channel: 'a' });
    };
    for (let n = 0; n < 20; n++) await publish();
    for (let n = 0; n < 20; n++) {
      const publishing = publish();
      const events = collect(sse, from);
      await publishing;
      await publish();
      await until(() => events.at(-1)?.data === count - 1);
      const numbers = events.filter(({ type }) => type === undefined).map(({ data }) => data as number);
      expect(events.filter(({ type }) => type === 'sse.reset')).toEqual([]);
      expect(numbers).toEqual(numbers.map((___, place) => numbers[0]! + place));
      expect(numbers.length).toBeGreaterThanOrEqual(100);
    }
  });

  it.each([
    null,
    1,
    'oldest',
    {},
    { last: 1.5 },
    { last: -1 },
    { last: '1' },
    { last: 1, more: 2 },
    { lats: 1 },
  ])('is refused for the start %j', async (from) => {
    const sse = await start();
    expect(() => sse.messages('a', { from: from as SseFrom })).toThrow(
      expect.objectContaining({ code: 'SSE_INPUT' }),
    );
  });

  it('is refused without history', async () => {
    const sse = await start({ history: false });
    expect(() => sse.messages('a', { from: 'earliest' })).toThrow(/history/);
    expect(() => sse.messages('a', { from: 'live' })).not.toThrow();
  });
});
