import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { defineChannel, type SseService, type } from 'nestjs-sse-channels';
import { documentedInputs } from './support/input-app.js';
import { manual, orders, schemaOf, startService } from './support/typed-channels.js';

let sse: SseService;
let published: number;
beforeEach(async () => {
  sse = await startService();
  published = 0;
});
afterEach(() => expect(sse.stats().published).toBe(published));

const publish = (...args: readonly unknown[]) => {
  const call = sse.publish.bind(sse) as (...given: readonly unknown[]) => Promise<string>;
  return call(...args);
};
const accepts = async (...args: readonly unknown[]) => {
  expect(await publish(...args)).not.toBe('');
  published++;
};
/** Each call rejects with an error whose message contains the text. */
const refuses = async (text: string, all: readonly (readonly unknown[])[]) => {
  for (const args of all) {
    await expect(publish(...args)).rejects.toMatchObject({
      code: 'SSE_INPUT',
      status: 400,
      message: expect.stringContaining(text),
    });
  }
};
const refusesDefinitions = (text: string, all: readonly (readonly unknown[])[]) => {
  for (const [pattern, events] of all) {
    expect(() => defineChannel(pattern as string, events as never)).toThrow(
      expect.objectContaining({ message: expect.stringContaining(`\`${text}\``) }),
    );
  }
};
const order = orders({ id: 7 });
const fail = (message: string): never => {
  throw new Error(message);
};

const rows: Record<string, () => Promise<void>> = {
  'an event type of the definition, data that its schema accepts': async () => {
    await accepts(order, 'paid', { amount: 5 });
    await accepts(order, 'note', 'plain', { id: 'own', retry: 5, idempotencyKey: 'k' });
    await accepts(order, '', { text: 'without a type' }, undefined);
  },
  'another event type, none, or options in its place': async () => {
    await refuses('payed', [[order, 'payed', {}]]);
    await refuses('`type`', [[order, 'constructor', {}]]);
    await refuses('`type`', [
      [order],
      [order, { type: 'paid' }],
      [order, undefined, 1],
      [order, ['paid'], 1],
    ]);
    await refuses('message', [[order, 'message', { text: 'a' }]]);
  },
  'data that its schema refuses': async () => {
    const issues = [
      undefined,
      [],
      [null],
      [{ message: 5, path: null }],
      [{ path: [null, { key: 'a' }] }],
      {},
    ];
    for (const [n, given] of issues.entries()) {
      const validate = () => ({ issues: n === 0 ? [{ message: 'no' }] : given, value: 1 });
      const strict = defineChannel('strict', { strict: schemaOf(validate) });
      await refuses('`strict`', [[strict(), 'strict', 1]]);
    }
    await refuses('amount', [
      [order, 'paid', { amount: '5' }],
      [order, 'paid', {}],
    ]);
    await refuses('`paid`', [
      [order, 'paid'],
      [order, 'paid', null],
    ]);
  },
  'data that `publish` would refuse, before or after its schema': async () => {
    await refuses('`data`', [
      [order, 'note', undefined],
      [order, 'note', new Map()],
      [order, 'note', 1n],
    ]);
    const broken = defineChannel('broken', {
      sync: schemaOf(() => ({ value: new Map() })),
      async: schemaOf(() => Promise.resolve({ value: undefined })),
    });
    await refuses('`data`', [
      [broken(), 'sync', 1],
      [broken(), 'async', 1],
    ]);
  },
  'a schema that throws, rejects, or gives anything but a value or issues': async () => {
    for (const validate of [
      () => fail('connect ECONNREFUSED'),
      () => {
        throw undefined;
      },
      () => Promise.reject(new Error('connect ECONNREFUSED')),
      () => new Proxy({}, { get: () => fail('connect ECONNREFUSED') }),
      () => undefined,
      () => true,
      () => ({}),
      () => Promise.resolve(),
    ]) {
      const broken = defineChannel('broken', { broken: schemaOf(validate) });
      await expect(publish(broken(), 'broken', 1)).rejects.toMatchObject({
        code: 'SSE_UNAVAILABLE',
        status: 503,
        expose: false,
        mayBePublished: false,
      });
    }
    // The channel is not held up.
    await accepts('next', { channel: 'broken' });
  },
  'a schema that does not settle within 5 s': async () => {
    const stuck = defineChannel('stuck', { stuck: manual().schema, next: type<string>() });
    const call = expect(sse.publish(stuck(), 'stuck', 1)).rejects.toMatchObject({
      code: 'SSE_UNAVAILABLE',
      mayBePublished: false,
    });
    const next = accepts(stuck(), 'next', 'after');
    await Promise.all([call, next]);
  },
  'an event behind 10,000 of its channel, or 64 MiB of all, that wait for a schema': async () => {
    const { schema, pending } = manual();
    const many = defineChannel('many', { slow: schema, fast: type<number>() });
    const waiting = [sse.publish(many(), 'slow', 0)];
    while (waiting.length < 10_000) waiting.push(sse.publish(many(), 'fast', waiting.length));
    await expect(sse.publish(many(), 'fast', -1)).rejects.toMatchObject({ code: 'SSE_UNAVAILABLE' });
    // Another channel has its own.
    const others = defineChannel('others', { slow: schema });
    const other = sse.publish(others(), 'slow', 0);
    pending[1]!(undefined);
    await other;
    pending[0]!(undefined);
    await Promise.all(waiting);
    published = 10_000;
    // Nothing waits any more.
    const later = sse.publish(many(), 'slow', 0);
    pending[2]!(undefined);
    await later;
    published += 2;
    const large = 'x'.repeat(200_000);
    const stuck = sse.publish(many(), 'slow', 0);
    const held: Promise<string>[] = [];
    while (held.length < 335) held.push(sse.publish(large, { channel: 'many' }));
    await expect(sse.publish(large, { channel: 'many' })).rejects.toMatchObject({ code: 'SSE_UNAVAILABLE' });
    pending[3]!(undefined);
    await Promise.all([stuck, ...held]);
    published += 336;
  },
  'an unknown option, also `channel` and `type`': async () => {
    await refuses('chanel', [[order, 'note', 'a', { chanel: 'b' }]]);
    await refuses('channel', [[order, 'note', 'a', { channel: 'b' }]]);
    await refuses('`type`', [[order, 'note', 'a', { type: 'b' }]]);
    await refuses('options', [[order, 'note', 'a', 7]]);
  },
  'a typed channel as the option `channel`, or a definition in place of a channel': async () => {
    await refuses('publish(channel, type, data)', [[{ amount: 5 }, { channel: order }]]);
    await refuses('options', [
      [orders, 'note', 'a'],
      ['order:7', 'paid', { amount: 5 }],
    ]);
  },
  'a parameter that is a text, a finite number or a bigint': async () => {
    for (const id of ['a', 'a|b', ' ', '😀', 7, 1.5, -1, 2n ** 64n])
      await accepts(orders({ id }), 'note', 'a');
  },
  'a parameter that is empty, missing, unknown, a lone surrogate, a number that JavaScript has rounded, or of another type':
    async () => {
      for (const values of [
        { id: '' },
        {},
        { id: 7, user: 8 },
        { id: '\ud800' },
        { id: 2 ** 53 },
        { id: Number.NaN },
      ]) {
        expect(() => orders(values as { id: string })).toThrow(
          expect.objectContaining({ code: 'SSE_INPUT' }),
        );
      }
      for (const id of [undefined, null, true, {}, ['7'], () => 7]) {
        expect(() => orders({ id } as never)).toThrow(expect.objectContaining({ code: 'SSE_INPUT' }));
      }
      for (const values of [undefined, null, '7', ['7'], Promise.resolve({ id: '7' })]) {
        expect(() => orders(values as never)).toThrow(expect.objectContaining({ code: 'SSE_INPUT' }));
      }
    },
  'parameters that give a name of more than 200 characters': async () => {
    await accepts(orders({ id: 'x'.repeat(194) }), 'note', 'a');
    for (const id of ['x'.repeat(195), '|'.repeat(65)]) {
      expect(() => orders({ id })).toThrow(expect.objectContaining({ code: 'SSE_INPUT' }));
    }
  },
  'a pattern with other characters, without `:` or `/` between two parameters, or with one parameter twice':
    async () => {
      const events = { note: type<string>() };
      for (const pattern of [
        '',
        'a b',
        'order:{}',
        'order:{id',
        '{a}{b}',
        '{a}-{b}',
        '{a}:{a}',
        7,
        undefined,
      ]) {
        refusesDefinitions('pattern', [[pattern, events]]);
      }
    },
  'no events, an event without a schema, both `` and `message`': async () => {
    refusesDefinitions('events', [['a'], ['a', {}], ['a', [type()]], ['a', { '': type(), message: type() }]]);
    refusesDefinitions('events.paid', [
      ['a', { paid: {} }],
      ['a', { paid: undefined }],
      ['a', { paid: () => true }],
      ['a', { paid: { '~standard': { version: 2, validate: () => ({}) } } }],
    ]);
  },
  'an event type that `publish` would refuse': async () => {
    refusesDefinitions('type', [
      ['a', { 'sse.reset': type() }],
      ['a', { error: type() }],
      ['a', { 'a\nb': type() }],
    ]);
  },
};

describe('The input of typed channels', () => {
  it.each(Object.entries(rows))('%s', (_row, test) => test());

  it('are the rows of docs/input.md', () => {
    expect(Object.keys(rows)).toEqual(documentedInputs('Typed channels'));
  });
});
