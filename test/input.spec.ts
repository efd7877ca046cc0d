import { beforeEach, describe, expect, it } from '@jest/globals';
import type { SseService } from 'nestjs-sse-channels';
import { map, of } from 'rxjs';
import { platforms } from './support/app.js';
import { connect } from './support/client.js';
import { BAD_CHANNELS, documentedInputs, startInput } from './support/input-app.js';

const LONG = 'x'.repeat(129);

class Hidden {
  readonly #value = 1;

  get value() {
    return this.#value;
  }
}

class Callbacks {
  readonly paid = () => 1;
}

class Empty {
  a: string | undefined = undefined;
}

const nested = (depth: number): unknown => {
  let value: unknown[] = [];
  for (let level = 1; level < depth; level++) value = [value];
  return value;
};

let sse: SseService;
let url: string;

/** Each call rejects with an error that names the argument. The client receives only the next event. */
const refuses = async (name: string, calls: (() => Promise<string>)[]) => {
  const client = await connect(`${url}/channel`);
  await client.next();
  for (const call of calls) {
    await expect(call()).rejects.toMatchObject({
      name: 'SseError',
      code: 'SSE_INPUT',
      status: 400,
      message: expect.stringContaining(`\`${name}\``),
    });
  }
  await sse.publish('end');
  expect(await client.next()).toMatchObject({ data: 'end' });
};

const arrives = async (data: unknown, options: object, expected: object) => {
  const client = await connect(`${url}/channel`);
  await client.next();
  await sse.publish(data, options);
  expect(await client.next()).toMatchObject(expected);
  client.close();
};

const circular: Record<string, unknown> = {};
circular.self = circular;

const rows: Record<string, () => Promise<void>> = {
  '`channel` of 1–200 letters, digits and `_ . : - / @ ~`': async () => {
    const client = await connect(`${url}/channel?channel=${encodeURIComponent('caf\u00e9_.:-/@~1')}`);
    await client.next();
    await sse.publish('same', { channel: 'cafe\u0301_.:-/@~1' });
    expect(await client.next()).toMatchObject({ data: 'same' });
    await sse.publish('longest', { channel: 'é'.repeat(200) });
  },
  '`channel` with the name of an object property (`__proto__`, `constructor`)': async () => {
    for (const channel of ['__proto__', 'constructor', 'toString']) {
      const client = await connect(`${url}/channel?channel=${channel}`);
      await client.next();
      await sse.publish('here', { channel });
      expect(await client.next()).toMatchObject({ data: 'here' });
    }
  },
  '`channel` that is empty, longer, or has other characters (space, line break, `*`, `{}`, emoji)': () =>
    refuses(
      'channel',
      [...BAD_CHANNELS, 7, {}, ['a'], null].map(
        (channel) => () => sse.publish(1, { channel: channel as string }),
      ),
    ),
  '`id` of 1–128 printable ASCII characters without spaces, or a finite number': async () => {
    for (const id of ['a', '~'.repeat(128), '0', '"\\:;', 12345, -1.5, 0])
      await arrives(1, { id }, { id: String(id) });
  },
  '`id` that is empty, longer, not ASCII, or has a space or a line break; `NaN`, `Infinity`, `true`; a whole number beyond ±(2^53 - 1)':
    () =>
      refuses(
        'id',
        ['', LONG, 'é', 'a b', 'a\nb', 'a\rb', 'a\0b', NaN, Infinity, 2 ** 60, true, {}, null].map(
          (id) => () => sse.publish(1, { id: id as string }),
        ),
      ),
  '`id` in the shape of a cursor, `1763884800000-5`': () =>
    refuses('id', [
      () => sse.publish(1, { id: '1763884800000-5' }),
      () => sse.publish(1, { id: '1234567890-1' }),
    ]),
  '`type` of 1–128 characters without control characters': async () => {
    for (const type of ['a', 'x'.repeat(128), 'ünï 😀', 'ssex']) await arrives(1, { type }, { event: type });
  },
  '`type` that is empty, longer, or has a line break or another control character': () =>
    refuses(
      'type',
      ['', LONG, 'a\nb', 'a\r', '\0', '\u007f', '\u0085', 5, null].map(
        (type) => () => sse.publish(1, { type: type as string }),
      ),
    ),
  '`type` `error`, `open`, or one that starts with `sse.`': () =>
    refuses(
      'type',
      ['error', 'open', 'sse.open', 'sse.reset', 'sse.x'].map((type) => () => sse.publish(1, { type })),
    ),
  '`retry` that is a whole number from 0 to 3,600,000': async () => {
    const client = await connect(`${url}/channel`);
    for (const retry of [0, 1, 3_600_000]) await sse.publish(1, { retry });
    await client.take(4);
    const [, ...published] = client.text.matchAll(/^retry: (\d+)$/gm);
    expect(published.map(([, ms]) => ms)).toEqual(['0', '1', '3600000']);
  },
  '`retry` that is negative, larger, a fraction, `NaN` or a string': () =>
    refuses(
      'retry',
      [-1, 3_600_001, 1.5, NaN, Infinity, '1000', null].map(
        (retry) => () => sse.publish(1, { retry: retry as number }),
      ),
    ),
  '`data` nested 500 levels deep': async () => {
    const data = nested(500);
    await arrives(data, {}, { data: JSON.stringify(data) });
  },
  '`data` `null`, a number or a boolean': async () => {
    await arrives(null, {}, { data: 'null' });
    await arrives(1.5, {}, { data: '1.5' });
    await arrives(false, {}, { data: 'false' });
  },
  '`data` `undefined`, a function, a symbol, a BigInt, circular, or nested more than 500 levels deep': () =>
    refuses(
      'data',
      [undefined, () => 1, Symbol('s'), 1n, { a: 1n }, circular, nested(501), nested(100_000)].map(
        (data) => () => sse.publish(data),
      ),
    ),
  '`data` `NaN`, `Infinity` or an invalid `Date`, which JSON writes as `null`': () =>
    refuses(
      'data',
      [NaN, Infinity, new Date('x')].map((data) => () => sse.publish(data)),
    ),
  '`data` that JSON would write without its content, at any depth: a promise, an Observable, an async iterator, a `Map`, a `Set`, an `Error`, an instance whose fields are all private, functions or behind getters':
    () =>
      refuses(
        'data',
        [
          Promise.resolve(1),
          of(1),
          { a: of(1).pipe(map(String)) },
          (async function* () {})(),
          new Map(),
          { a: [new Set()] },
          new Error('no'),
          { a: new Hidden() },
          [new Callbacks()],
        ].map((data) => () => sse.publish(data)),
      ),
  '`data` with instances without fields, or whose fields are all `undefined`; with a `toJSON()`, an `Error` included':
    async () => {
      await arrives({ a: new Empty() }, {}, { data: '{"a":{}}' });
      await arrives(Object.assign(new Error('no'), { toJSON: () => 'no' }), {}, { data: 'no' });
    },
  'an unknown option, options that are not an object, or `channel` with the value `undefined`': async () => {
    await refuses('channel', [() => sse.publish(1, { channel: undefined })]);
    await refuses('chanel', [() => sse.publish(1, { chanel: 'a' } as object)]);
    await refuses('options', [() => sse.publish(1, Promise.resolve({ channel: 'a' }) as object)]);
  },
  '`data` of up to 262,144 bytes as sent (`maxPayloadBytes`)': () =>
    arrives('é'.repeat(131_072), {}, { data: 'é'.repeat(131_072) }),
  '`data` of more bytes': () =>
    refuses('data', [() => sse.publish('x'.repeat(262_145)), () => sse.publish({ a: 'x'.repeat(262_140) })]),
  '`transient: true` with `id` or `idempotencyKey`': () =>
    refuses('id', [
      () => sse.publish(1, { transient: true, id: 'a' }),
      () => sse.publish(1, { transient: true, idempotencyKey: 'a' }),
    ]),
  '`transient` that is not a boolean': () =>
    refuses(
      'transient',
      ['yes', 1, null].map((transient) => () => sse.publish(1, { transient: transient as never })),
    ),
  '`idempotencyKey` that is empty, longer than 128 characters, not ASCII, or has a space': () =>
    refuses(
      'idempotencyKey',
      ['', LONG, 'é', 'a b', 5, null].map((key) => () => sse.publish(1, { idempotencyKey: key as string })),
    ),
};

describe.each(platforms)('Publishing on %s', (_, platform) => {
  beforeEach(async () => {
    ({ sse, url } = await startInput(platform));
  });

  it.each(Object.entries(rows))('%s', (_row, test) => test());
});

describe('The tests of publishing', () => {
  it('are the rows of docs/input.md', () => {
    expect(Object.keys(rows)).toEqual(documentedInputs('Publishing'));
  });
});
