import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import { map, Observable, of, Subject } from 'rxjs';
import { brokerOptions } from './support/broker-options.js';
import { useNewsSubscriber } from './support/news-subscriber.js';
import { until } from './support/until.js';

class Private {
  readonly #field = 1;
  get field() {
    return this.#field;
  }
}

class Id {
  constructor(private readonly value: string) {}
  toJSON() {
    return this.value;
  }
}

class Items extends Map<string, number> {
  readonly name = 'items';
}

class Money {
  readonly #cents = 5;
  valueOf() {
    return this.#cents;
  }
}

class Ids {
  *[Symbol.iterator]() {
    yield 1;
  }
}

/** A query builder whose `await` was forgotten. */
class Query {
  readonly table = 'users';
  // oxlint-disable-next-line unicorn/no-thenable -- the slip itself
  then() {}
  toJSON() {
    return { table: this.table };
  }
}

class Callbacks {
  readonly paid = () => 1;
}

class OrderFilter {
  status: string | undefined = undefined;
}

class OrderCancelled {
  describe() {
    return 'cancelled';
  }
}

class User {
  readonly id = 7;
  subscribe() {}
}

class RequestError extends Error {
  readonly code = 'E_REQUEST';
  toJSON() {
    return { message: this.message, code: this.code, env: { send: () => undefined } };
  }
}

async function* results() {
  yield 1;
}

/** More objects than the check visits one by one. */
const many = (last: unknown) => [...Array.from({ length: 20_000 }, () => ({})), last];

describe.each(brokerOptions)('Data of publish() (%s)', (_, options) => {
  const { sse, received, expectNothingPublished } = useNewsSubscriber(options);

  it.each<[string, unknown, RegExp]>([
    ['a promise that is not awaited', Promise.resolve(1), /`data`.*await it, got a Promise/],
    // oxlint-disable-next-line unicorn/no-thenable -- the slip itself
    ['a thenable', { then: () => undefined }, /await it/],
    ['a promise in the data', { user: sleep(0) }, /await it, got a Promise/],
    ['a promise in a list', [[Promise.resolve(1)]], /await it/],
    ['a Map', new Map([[1, 2]]), /got a Map/],
    ['a Set in the data', { ids: new Set([1]) }, /got a Set/],
    ['an Error', new TypeError('no'), /publish its `message`, got a TypeError/],
    ['an Error with fields of its own', Object.assign(new Error('no'), { code: 'E' }), /its `message`/],
    ['an Error in the data', { error: new Error('no') }, /its `message`/],
    ['a RegExp', /x/, /got a RegExp/],
    ['an ArrayBuffer', { bytes: new ArrayBuffer(8) }, /got a ArrayBuffer/],
    ['an Observable', new Observable(), /got a Observable/],
    ['a URLSearchParams', new URLSearchParams('a=1'), /got a URLSearchParams/],
    ['an instance whose fields are private', new Private(), /got a Private/],
    ['a generator', (function* () {})(), /got a Generator/],
    ['an iterator', [1].values(), /got a Array Iterator/],
    ['an Observable of one value', of(1), /its values one by one, got a Observable/],
    ['an Observable behind a pipe', of(1).pipe(map(String)), /its values one by one/],
    ['an Observable in the data', { total: new Subject() }, /its values one by one, got a Subject/],
    ['a plain object with subscribe()', { id: 1, subscribe: () => undefined }, /its values one by one/],
    ['an async generator', { results: results() }, /its values one by one, got a AsyncGenerator/],
    ['a query in the data', { user: new Query() }, /await it, got a Query/],
    ['a promise with fields', [Object.assign(Promise.resolve(1), { cancel: 1 })], /await it, got a Promise/],
    ['a promise of a toJSON()', { toJSON: async () => 1 }, /await it, got a Promise/],
    ['a Map of a toJSON()', { a: [{ toJSON: () => ({ map: new Map() }) }] }, /got a Map/],
    ['a Map with a field', { items: new Items([['a', 1]]) }, /got a Items/],
    ['an Error with fields in the data', [Object.assign(new Error('no'), { code: 'E' })], /its `message`/],
    ['a DOMException', new DOMException('no'), /its `message`, got a DOMException/],
    ['an instance with functions alone', { on: new Callbacks() }, /got a Callbacks/],
    ['an instance with a value of its own', new Money(), /got a Money/],
    ['an instance that is iterated', new Ids(), /got a Ids/],
    ['a Map among many objects', many(new Map()), /got a Map/],
    ['NaN', NaN, /NaN/],
    ['Infinity', Infinity, /`data`/],
    ['an invalid Date', new Date('x'), /`data`/],
    ['a function', () => 1, /got a function/],
    ['undefined', undefined, /got undefined/],
  ])('is refused: %s', async (_name, data, message) => {
    await expect(sse().publish(data, { channel: 'news' })).rejects.toMatchObject({
      code: 'SSE_INPUT',
      message: expect.stringMatching(message),
    });
    await expectNothingPublished();
  });

  it.each<[unknown, unknown]>([
    [5, 5],
    ['5', '5'],
    [null, null],
    ['null', 'null'],
    [false, false],
    [0, 0],
    ['', ''],
    [{}, {}],
    [
      { nested: {}, list: [{}] },
      { nested: {}, list: [{}] },
    ],
    ['{}', '{}'],
    [Object.assign(Object.create(null) as object, { a: 1 }), { a: 1 }],
    [{ a: undefined, b: 1 }, { b: 1 }],
    [new Date(0), '1970-01-01T00:00:00.000Z'],
    [new Id('x'), 'x'],
    [
      { id: new Id('x'), at: new Date(0), none: {} },
      { id: 'x', at: '1970-01-01T00:00:00.000Z', none: {} },
    ],
    [
      [1, 'a', null],
      [1, 'a', null],
    ],
    [
      { id: 1, filter: new OrderFilter() },
      { id: 1, filter: {} },
    ],
    [new OrderCancelled(), {}],
    [new User(), { id: 7 }],
    [new RequestError('no'), { message: 'no', code: 'E_REQUEST', env: {} }],
    [{ error: new RequestError('no') }, { error: { message: 'no', code: 'E_REQUEST', env: {} } }],
    [Object.assign(new Map([[1, 2]]), { toJSON: () => [1] }), [1]],
    [
      { count: Object(5), name: Object('x') },
      { count: 5, name: 'x' },
    ],
    [
      { bytes: Buffer.from('a'), at: new Date(0), maps: [new Id('x')] },
      { bytes: { type: 'Buffer', data: [97] }, at: '1970-01-01T00:00:00.000Z', maps: ['x'] },
    ],
    [many(1), many(1)],
  ])('reaches subscribers as its JSON value: %j', async (data, expected) => {
    await sse().publish(data, { channel: 'news' });
    await until(() => received().length > 0);
    expect(received().map((event) => event.data)).toEqual([expected]);
  });
});
