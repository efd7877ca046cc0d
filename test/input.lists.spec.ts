import { beforeEach, describe, expect, it } from '@jest/globals';
import { SseStreams } from 'nestjs-sse-channels';
import type { SseError, SseService } from 'nestjs-sse-channels';
import { documentedInputs } from './support/input-app.js';
import { numbers } from './support/publishing.js';
import { moduleOf, orders, startService } from './support/typed-channels.js';
import { until } from './support/until.js';

let sse: SseService;
/** What the subscribers of the channels `a` and `sse` got. */
let received: unknown[];

const publishAll = (events: unknown) => sse.publishAll(events as []);

/** The list is refused, and subscribers get only the next event. */
async function refuses(name: string, lists: readonly unknown[]) {
  for (const list of lists) {
    await expect(publishAll(list)).rejects.toMatchObject({
      name: 'SseError',
      code: 'SSE_INPUT',
      status: 400,
      outcomes: [],
      message: expect.stringContaining(`\`${name}\``),
    });
  }
  await sse.publish('end');
  await until(() => received.length === 1);
  expect(received).toEqual(['end']);
}

const good = { channel: 'a', data: 1 };
const FIELDS: Record<string, readonly unknown[]> = {
  channel: ['', 'a b', 7, {}, null],
  id: ['', 'a b', NaN, true, '1763884800000-5', 2 ** 60],
  type: ['', 'a\nb', 'error', 'sse.open', 5],
  retry: [-1, 3_600_001, 1.5, '1000'],
  data: [undefined, () => 1, NaN, new Map(), Promise.resolve(1), 'x'.repeat(262_145), new Error('no')],
  transient: ['yes', 1, null],
  idempotencyKey: ['', 'é', 'a b', 5],
};

const rows: Record<string, () => Promise<void>> = {
  'an empty list': async () => expect(await sse.publishAll([])).toEqual([]),
  'a list with an event whose field `publish()` would refuse': async () => {
    for (const [field, values] of Object.entries(FIELDS)) {
      for (const value of values) {
        const list = [good, good, { ...good, [field]: value }, { data: undefined }];
        await expect(publishAll(list)).rejects.toMatchObject({
          code: 'SSE_INPUT',
          message: expect.stringMatching(new RegExp(`^Expected \`events\\[2\\]\\.${field}\` to be `)),
        });
      }
    }
    await refuses('events[1].id', [[good, { ...good, transient: true, id: 'a' }]]);
  },
  'an event without `data`, that is not an object, or missing in a list with gaps': async () => {
    const withGap: unknown[] = [good];
    withGap[2] = good;
    for (const list of [[good, 'text'], [good, null], [good, [1]], withGap]) {
      await expect(publishAll(list)).rejects.toThrow('Expected `events[1]` to be an object, got');
    }
    await refuses('events[1].data', [[good, { channel: 'a' }]]);
  },
  'an event with an unknown key, or `channel` with the value `undefined`': async () => {
    await expect(publishAll([good, { data: 1, chanel: 'a' }])).rejects.toThrow(
      'Expected no key `chanel` in `events[1]`; it takes channel, type, data',
    );
    await refuses('events[0].channel', [[{ channel: undefined, data: 1 }]]);
  },
  'an event of a typed channel with a type that it does not have, or data that does not fit its schema':
    async () => {
      const typed = { channel: orders({ id: 7 }), type: 'paid', data: { amount: 5 } };
      await expect(publishAll([good, { ...typed, type: 'payed' }])).rejects.toThrow(
        'Expected `events[1].type` to be an event type of `order:{id}`',
      );
      await expect(publishAll([good, { ...typed, retry: -1 }])).rejects.toThrow('`events[1].retry`');
      await refuses('events[1].data', [[good, { ...typed, data: { amount: '5' } }]]);
    },
  'anything but a list: an object, an iterator, a promise': () =>
    refuses('events', [good, [good].values(), Promise.resolve([good]), 'text', undefined, new Set([good])]),
  '100,000 events': async () => {
    expect(await publishAll(Array.from({ length: 100_000 }, () => good))).toHaveLength(100_000);
  },
  'more events': () => refuses('events', [Array.from({ length: 100_001 }, () => good)]),
  'events whose data has 67,108,864 characters as JSON': async () => {
    const sent = numbers(1_024).map(() => ({ data: 'x'.repeat(65_534) }));
    expect(await publishAll(sent)).toHaveLength(1_024);
  },
  'events whose data has more characters, with what their schemas return': () => {
    const most = numbers(1_024).map(() => ({ data: 'x'.repeat(65_534) }));
    const typed = { channel: orders({ id: 7 }), type: 'paid', data: { amount: 5 } };
    return refuses('events', [
      [...most, { data: 1 }],
      [typed, ...most],
    ]);
  },
  'an event of a stream': async () => {
    const writer = await moduleOf(sse).get(SseStreams).open('stream');
    const list = [good, { channel: 'stream', data: 2 }, { channel: 'stream', data: 3, transient: true }];
    const error = (await publishAll(list).catch((cause: unknown) => cause)) as SseError;
    expect(error).toMatchObject({ code: 'SSE_INPUT', mayBePublished: true });
    expect(error.outcomes.map(({ status }) => status)).toEqual(['published', 'rejected', 'rejected']);
    await until(() => received.length === 1);
    await writer.end();
  },
};

describe('Publishing lists', () => {
  beforeEach(async () => {
    sse = await startService();
    received = [];
    sse.messages(['a', 'sse']).subscribe(({ data }) => received.push(data));
  });

  it.each(Object.entries(rows))('%s', (_row, test) => test());

  it('is tested by the rows of docs/input.md', () => {
    expect(Object.keys(rows)).toEqual(documentedInputs('Lists'));
  });
});
