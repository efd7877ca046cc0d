import { setTimeout as sleep } from 'node:timers/promises';
import { Controller, Module, Param } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import {
  ChannelGuard,
  fromQuery,
  type PublishOptions,
  SseChannel,
  type SseEvent,
  SseModule,
  SseService,
  type SseTarget,
} from 'nestjs-sse-channels';
import { PrometheusMetrics } from 'nestjs-sse-channels/prometheus';
import { map, Observable, of, Subject } from 'rxjs';
import { platforms, startApp } from './support/app.js';
import { connect } from './support/client.js';
import { randomPrefix, redisUrl } from './support/redis.js';
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

/** As query builders are: a forgotten `await`. */
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

/** More objects than are looked at one by one. */
const many = (last: unknown) => [...Array.from({ length: 20_000 }, () => ({})), last];

describe.each([
  ['in memory', () => ({})],
  ['over Redis', () => ({ redis: redisUrl(), prefix: randomPrefix() })],
] as const)('A slip in a call (%s)', (_, options) => {
  let sse: SseService;
  let close: () => Promise<void>;
  let received: SseEvent[];

  beforeEach(async () => {
    const module = await Test.createTestingModule({ imports: [SseModule.forRoot(options())] }).compile();
    sse = module.get(SseService);
    close = () => module.close();
    received = [];
    let isLive = false;
    sse.messages(['sse', 'news']).subscribe((event) => {
      if (event.data === 'live') isLive = true;
      else received.push(event);
    });
    await until(async () => {
      await sse.publish('live', { channel: 'news', transient: true });
      return isLive;
    });
  });
  afterEach(() => close());

  /** Nothing has been published before this event. */
  const nothingWasPublished = async () => {
    await sse.publish('last', { channel: 'news' });
    await until(() => received.length > 0);
    expect(received.map(({ data }) => data)).toEqual(['last']);
  };

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
  ])('is refused as data: %s', async (_name, data, message) => {
    await expect(sse.publish(data, { channel: 'news' })).rejects.toMatchObject({
      code: 'SSE_INPUT',
      message: expect.stringMatching(message),
    });
    await nothingWasPublished();
  });

  it.each<[unknown, string]>([
    [{ chanel: 'news' }, '`chanel`'],
    [{ channel: 'news', typ: 'x' }, '`typ`'],
    [{ channel: 'news', data: 1 }, '`data`'],
    [{ channel: undefined }, '`channel`'],
    [{ channel: null }, '`channel`'],
    [Promise.resolve({ channel: 'news' }), 'a Promise'],
    [new Map([['channel', 'news']]), 'a Map'],
    [['news'], 'an array'],
    ['news', '"news"'],
    [null, 'null'],
  ])('is refused as options of publish(): %p', async (given, message) => {
    await expect(sse.publish(1, given as PublishOptions)).rejects.toMatchObject({
      code: 'SSE_INPUT',
      message: expect.stringContaining(message),
    });
    await nothingWasPublished();
  });

  it('is refused by messages(): an undefined channel, an unknown option', () => {
    const messages = sse.messages.bind(sse) as (...args: unknown[]) => unknown;
    for (const args of [
      [undefined],
      [undefined, {}],
      ['news', { lastEventID: 'x' }],
      ['news', { filter: () => true }],
      ['news', Promise.resolve({})],
      [{ channel: 'news' }],
    ]) {
      expect(() => messages(...args)).toThrow(expect.objectContaining({ code: 'SSE_INPUT' }));
    }
  });

  it('is refused by disconnect(): what would end more connections than it says', async () => {
    for (const target of [
      { user: undefined, channel: 'news' },
      { channel: undefined, user: 1 },
      { connection: undefined, channel: 'news' },
      { usr: 1, channel: 'news' },
      Promise.resolve({ user: 1 }),
    ]) {
      await expect(sse.disconnect(target as object)).rejects.toMatchObject({ code: 'SSE_INPUT' });
    }
    await expect(sse.disconnect({ user: 1 }, { refuse: 0 } as object)).rejects.toMatchObject({
      code: 'SSE_INPUT',
    });
    await nothingWasPublished();
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
  ])('is none: subscribers get %j as it was published', async (data, expected) => {
    await sse.publish(data, { channel: 'news' });
    await until(() => received.length > 0);
    expect(received.map((event) => event.data)).toEqual([expected]);
  });
});

@Controller()
class TargetController {
  @SseChannel('target/:name')
  target(@Param('name') name: string) {
    const targets: Record<string, unknown> = {
      filters: { channel: 'news', filters: () => false },
      filter: { channel: 'news', filter: undefined },
      channels: { channels: ['news'] },
      channel: { channel: undefined },
      undefined: undefined,
      null: null,
      readonly: Object.freeze(['news']),
    };
    return targets[name] as SseTarget;
  }
}

describe.each(platforms)('A slip in what an @SseChannel() handler returns on %s', (_, platform) => {
  it('is refused, and no connection opens', async () => {
    const { app, url } = await startApp(platform, {
      imports: [SseModule.forRoot()],
      controllers: [TargetController],
    });
    const statusOf = async (name: string) => (await connect(`${url}/target/${name}`)).status;
    for (const name of ['filters', 'filter', 'channels', 'channel', 'undefined', 'null']) {
      expect([name, await statusOf(name)]).toEqual([name, 400]);
    }
    expect(app.get(SseService).stats().streams).toBe(0);
    expect(await statusOf('readonly')).toBe(200);
  });
});

describe('A slip in a definition', () => {
  it('is an error when the class is defined', () => {
    expect(() => SseChannel('x', { alow: ['news'] } as never)).toThrow('`alow`');
    expect(() => SseChannel('x', { allow: undefined } as never)).toThrow('`allow`');
    expect(() => ChannelGuard(undefined as never, fromQuery)).toThrow('`allow`');
    expect(() => ChannelGuard(['news'], undefined as never)).toThrow('`channel`');
    expect(() => SseChannel('x', { channel: fromQuery } as never)).toThrow('`allow`');
    expect(() => SseChannel('x', { channel: undefined, allow: ['news'] } as never)).toThrow('`channel`');
    expect(() => new PrometheusMetrics({ prefixes: 'x' } as never)).toThrow('`prefixes`');
  });

  it('is an error at start: the module imported twice', async () => {
    @Module({ imports: [SseModule.forRoot({ prefix: 'other:' })] })
    class FeatureModule {}
    const building = Test.createTestingModule({ imports: [SseModule.forRoot(), FeatureModule] }).compile();
    await expect(building).rejects.toThrow('SseModule is imported more than once');
  });

  it('is none: a module of its own for each feature that is not global', async () => {
    const features = ['a', 'b'].map((name) => {
      const imports = [SseModule.forRoot({ isGlobal: false })];
      return {
        module: class Feature {
          readonly name = name;
        },
        imports,
        providers: [{ provide: name, useExisting: SseService }],
        exports: [name],
      };
    });
    const module = await Test.createTestingModule({ imports: features }).compile();
    const [a, b] = ['a', 'b'].map((name) => module.get<SseService>(name, { strict: false }));
    const received: unknown[] = [];
    a!.messages('news').subscribe(({ data }) => received.push(data));
    await b!.publish('of b', { channel: 'news' });
    await a!.publish('of a', { channel: 'news' });
    await until(() => received.length > 0);
    expect(received).toEqual(['of a']);
    await module.close();
  });
});
