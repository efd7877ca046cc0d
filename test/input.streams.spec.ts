import { beforeEach, describe, expect, it } from '@jest/globals';
import { SseService, type SseStreamOptions, type SseStreams } from 'nestjs-sse-channels';
import { platforms } from './support/app.js';
import { BAD_CHANNELS, documentedInputs } from './support/input-app.js';
import { startNode, stores } from './support/streams-app.js';

let sse: SseService;
let streams: SseStreams;

const nothing = () => undefined;

/** Each call throws or rejects with an error that names the argument, and starts nothing. */
const refuses = async (name: string, calls: (() => unknown)[]) => {
  const before = sse.stats().streams;
  for (const call of calls) {
    const answer = (async () => call())();
    await expect(answer).rejects.toMatchObject({
      code: 'SSE_INPUT',
      message: expect.stringContaining(`\`${name}\``),
    });
  }
  expect(sse.stats().streams).toEqual(before);
};

/** Both methods that start a stream refuse the options. */
const refusesOptions = (name: string, all: object[]) =>
  refuses(
    name,
    all.flatMap((options) => [() => streams.start('a', nothing, options), () => streams.open('a', options)]),
  );

const rows: Record<string, () => Promise<void>> = {
  '`id` that `publish` would refuse as `channel`': async () => {
    for (const id of [...BAD_CHANNELS, undefined as unknown as string]) {
      await refuses('id', [
        () => streams.start(id, nothing),
        () => streams.open(id),
        () => streams.attach(id),
        () => streams.events(id),
        () => streams.status(id),
        () => streams.abort(id),
      ]);
    }
  },
  '`id` of a channel with events, for `start()` or `open()`': async () => {
    await sse.publish('event', { channel: 'a' });
    await refuses('id', [() => streams.start('a', nothing), () => streams.open('a', { replace: true })]);
  },
  '`publish()` to the id of a stream': async () => {
    const out = await streams.open('a');
    await refuses('channel', [() => sse.publish('x', { channel: 'a' })]);
    await out.end();
    await refuses('channel', [() => sse.publish('x', { channel: 'a' })]);
  },
  'a producer that is no function': () =>
    refuses('producer', [
      () => streams.start('a', undefined as unknown as () => void),
      () => streams.start('a', [1] as unknown as () => void),
    ]),
  'an unknown option of a stream': () => refusesOptions('lease', [{ lease: 1_000 }]),
  '`leaseMs`, `keepMs`, `flushMs`, `maxBytes` or `maxMs` outside of its [bounds](streams.md#options), a fraction or a string':
    async () => {
      for (const [name, min, max] of [
        ['leaseMs', 1_000, 600_000],
        ['keepMs', 1_000, 604_800_000],
        ['flushMs', 0, 1_000],
        ['maxBytes', 1, 1_073_741_824],
        ['maxMs', 1, 604_800_000],
      ] as const) {
        const wrong = [min - 1, max + 1, min + 0.5, String(min), null, NaN];
        await refusesOptions(
          name,
          wrong.map((value) => ({ [name]: value })),
        );
        for (const value of [min, max]) {
          const out = await streams.open(`${name}:${value}`, { [name]: value });
          await out.end();
        }
      }
    },
  'an option with the value `undefined`': async () => {
    await refusesOptions('maxMs', [{ maxMs: undefined }]);
    const undefinedOptions = { replace: undefined, leaseMs: undefined, onDisconnect: undefined };
    const out = await streams.open('a', undefinedOptions);
    expect(await out.end()).toEqual({ status: 'done' });
  },
  '`replace` or `attach` that is no boolean, or both': async () => {
    await refusesOptions('replace', [{ replace: 1 }, { replace: 'false' }, { replace: null }]);
    await refuses('attach', [() => streams.start('a', nothing, { attach: 0 as unknown as boolean })]);
    await refuses('attach', [() => streams.start('a', nothing, { attach: true, replace: true })]);
  },
  '`attach` for `open()`': () =>
    refuses(
      'attach',
      [true, false].map((attach) => () => streams.open('a', { attach } as SseStreamOptions)),
    ),
  "`onDisconnect` other than `'continue'` and `'abort'`": () =>
    refusesOptions('onDisconnect', [{ onDisconnect: 'stop' }, { onDisconnect: true }]),
  '`write()` of data or a `type` that `publish` would refuse, or with another option': async () => {
    const out = await streams.open('a');
    await refuses('data', [
      () => out.write(undefined),
      () => out.write(Promise.resolve(1)),
      () => out.write('x'.repeat(262_145)),
    ]);
    await refuses('type', [
      () => out.write(1, { type: 'sse.end' }),
      () => out.write(1, { type: '' }),
      () => out.write(1, { type: undefined }),
    ]);
    await refuses('id', [() => out.write(1, { id: '7' } as object)]);
    expect(out.write('last')).toBe(true);
    await out.end();
    const seen = [];
    for await (const { data } of streams.events('a')) seen.push(data);
    expect(seen).toEqual(['last', { status: 'done' }]);
  },
  '`pipe()` of anything but an iterable, an async iterable or a `ReadableStream`; of a string': async () => {
    const out = await streams.open('a');
    const wrong = ['text', 5, null, undefined, {}, { next: nothing }, Promise.resolve([1])];
    await refuses(
      'source',
      wrong.map((source) => () => out.pipe(source as Iterable<unknown>)),
    );
    await out.end();
  },
  'a reason for `abort()` that is empty, longer than 200 characters, or has control characters': async () => {
    const out = await streams.open('a');
    const wrong = ['', 'x'.repeat(201), 'a\nb', '\u0000', '\u0085'];
    await refuses(
      'reason',
      wrong.map((reason) => () => streams.abort('a', reason)),
    );
    expect(await streams.status('a')).toMatchObject({ state: 'live' });
    expect(await out.fail('x'.repeat(200))).toMatchObject({ status: 'error' });
  },
  '`attach()` with an unknown key, or a wrong user or date': async () => {
    await refuses('usr', [() => streams.attach('a', { usr: 7 } as object)]);
    await refuses('user', [() => streams.attach('a', { user: '' })]);
    await refuses('expiresAt', [() => streams.attach('a', { expiresAt: new Date(NaN) })]);
  },
};

describe.each(stores)('Streams %s', (_, options) => {
  beforeEach(async () => {
    const node = await startNode(platforms[0][1], options());
    ({ streams } = node);
    sse = node.app.get(SseService);
  });

  it.each(Object.entries(rows))('%s', (_row, test) => test());
});

describe('The tests of streams', () => {
  it('are the rows of docs/input.md', () => {
    expect(Object.keys(rows)).toEqual(documentedInputs('Streams'));
  });
});
