import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { Test, type TestingModule } from '@nestjs/testing';
import { SseModule, type SseTicketOptions, SseTickets } from 'nestjs-sse-channels';
import { SseBroker } from '../src/broker/broker.js';
import { BAD_CHANNELS, documentedInputs } from './support/input-app.js';
import { stores } from './support/streams-app.js';

let tickets: SseTickets;
let broker: SseBroker;
const modules: TestingModule[] = [];

const RIGHT: SseTicketOptions = { route: '/orders/:id/events', channels: 'order:7', user: 'ann' };

/** Each call rejects with an error that names the argument, and nothing is stored. */
const refuses = async (name: string, all: readonly unknown[]) => {
  const put = jest.spyOn(broker.tickets, 'put');
  for (const options of all) {
    await expect(tickets.issue(options as SseTicketOptions)).rejects.toMatchObject({
      code: 'SSE_INPUT',
      status: 400,
      message: expect.stringContaining(`\`${name}\``),
    });
  }
  expect(put).not.toHaveBeenCalled();
};
const refusesValues = (name: string, values: readonly unknown[]) =>
  refuses(
    name,
    values.map((value) => ({ ...RIGHT, [name]: value })),
  );
const issues = async (options: Partial<SseTicketOptions>) =>
  expect(await tickets.issue({ ...RIGHT, ...options })).toHaveLength(43);

const rows: Record<string, () => Promise<void>> = {
  'options that are not an object, or an unknown key': async () => {
    await refuses('options', [undefined, null, 'a', Promise.resolve(RIGHT), [RIGHT]]);
    await refuses('channel', [{ ...RIGHT, channel: 'a' }]);
    await refuses('ttl', [{ ...RIGHT, ttl: 1 }]);
  },
  'a `route` that is `undefined`, or does not begin with `/`': async () => {
    await refusesValues('route', [undefined, null, '', 'orders/:id/events', 7, ['/a'], /a/]);
  },
  'no channel, more than 100 `channels`, or one that `publish` would refuse': async () => {
    await refuses('channel', [{ route: '/a' }]);
    const many = Array.from({ length: 101 }, (_, n) => `c${n}`);
    for (const channels of [undefined, null, [], many, ...BAD_CHANNELS, ['a', 'a b'], [undefined]]) {
      await refuses('channel', [{ ...RIGHT, channels }]);
    }
    await issues({ channels: many.slice(1) });
  },
  '`user`, `session`, `issuedAt` or `expiresAt` with the value `undefined`': async () => {
    for (const name of ['user', 'session', 'issuedAt', 'expiresAt']) await refusesValues(name, [undefined]);
  },
  'a `user` that is empty, `null` or `NaN`; an empty `session`, or one that is no string': async () => {
    await refusesValues('user', ['', null, NaN, {}, true]);
    await refusesValues('session', ['', null, 7, {}]);
    await issues({ user: 0, session: 's' });
  },
  '`issuedAt` or `expiresAt` that is no valid `Date`': async () => {
    for (const name of ['issuedAt', 'expiresAt']) {
      await refusesValues(name, [new Date(NaN), null, Date.now(), '2026-01-01']);
    }
  },
  '`expiresAt` in the past': () => issues({ expiresAt: new Date(0) }),
  '`ttlMs` that is a whole number from 1 to 60,000, or `undefined`': async () => {
    for (const ttlMs of [1, 60_000, undefined]) await issues({ ttlMs });
  },
  '`ttlMs` that is 0, negative, larger, a fraction or a string': () =>
    refusesValues('ttlMs', [0, -1, 60_001, 1.5, NaN, Infinity, '1000', null]),
};

describe.each(stores)('Tickets %s', (_, options) => {
  beforeEach(async () => {
    const module = await Test.createTestingModule({ imports: [SseModule.forRoot(options())] }).compile();
    tickets = module.get(SseTickets);
    broker = module.get(SseBroker, { strict: false });
    modules.push(module);
  });
  afterEach(() => Promise.all(modules.splice(0).map((module) => module.close())));

  it.each(Object.entries(rows))('%s', (_row, test) => test());
});

describe('The tests of tickets', () => {
  it('are the rows of docs/input.md', () => {
    expect(Object.keys(rows)).toEqual(documentedInputs('Tickets'));
  });
});
