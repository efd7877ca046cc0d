import { describe, expect, it } from '@jest/globals';
import { of } from 'rxjs';
import { connect } from './support/client.js';
import { watchLog } from './support/log.js';
import { authorizer, nestedQueryPlatforms, startRules } from './support/rules-app.js';
import { until } from './support/until.js';

describe.each(nestedQueryPlatforms)('An authorizer on %s', (name, platform) => {
  const { failed } = watchLog();
  const start = () => startRules(name, platform);

  it.each<[string, unknown]>([
    ['[]', []],
    ['{}', {}],
    ['{ allowed: false }', { allowed: false }],
    ['a key besides', { user: 'ann', allowed: true }],
    ['a user that is undefined', { user: undefined }],
    ['an expiry that is undefined', { user: 'ann', expiresAt: undefined }],
    ['an invalid date', { user: 'ann', expiresAt: new Date('x') }],
    ['an Observable', of(false)],
    ['an Error', new Error('no')],
    ['a boxed boolean', Object(false)],
    ['a boxed true', Object(true)],
    [
      'a row of a database',
      new (class Row {
        id = 7;
      })(),
    ],
    [
      'a row with a user',
      new (class Row {
        user = 'ann';
      })(),
    ],
    ['a Response', new Response(null, { status: 403 })],
    ['a text', 'true'],
    ['a number', 1],
    ['null', null],
    ['undefined', undefined],
    ['a function', () => true],
    ['a Map', new Map([['user', 'ann']])],
    ['a promise of {}', Promise.resolve({})],
    ['a promise of a promise of a text', Promise.resolve(Promise.resolve('yes'))],
  ])('refuses a client when its decision is %s', async (_what, given) => {
    const { statusOf } = await start();
    for (const path of ['asked?channel=news', 'returned?channel=news', 'guarded?channel=news', 'granted/7']) {
      authorizer.decision = given;
      failed.mockClear();
      expect([path, await statusOf(path)]).toEqual([path, 403]);
    }
    authorizer.decision = false;
    expect(await statusOf('asked?channel=news')).toBe(403);
    authorizer.decision = { user: 7 };
    expect(await statusOf('asked?channel=news')).toBe(200);
  });

  it('logs an invalid decision without its content', async () => {
    const { statusOf } = await start();
    authorizer.decision = { allowed: 'secret' };
    await statusOf('asked?channel=news');
    expect(failed.mock.calls.flat()).toEqual([
      expect.stringMatching(/^Readers refuses, because its answer is no decision: .*`allowed`/),
    ]);
    expect(String(failed.mock.calls)).not.toContain('secret');
    failed.mockClear();
    authorizer.decision = false;
    expect(await statusOf('asked?channel=news')).toBe(403);
    expect(failed).not.toHaveBeenCalled();
  });

  it('decides once about all channels of a connection', async () => {
    const { url, sse, statusOf } = await start();
    authorizer.asked.length = 0;
    for (const [given, users] of [
      [true, []],
      [{ user: 'ann' }, ['ann']],
      [
        [true, { user: 'ann' }, { user: 'bob' }],
        ['ann', 'bob'],
      ],
    ] as const) {
      authorizer.decision = given;
      const client = await connect(`${url}/all?channel=a&channel=b&channel=c`);
      await client.next();
      expect(sse.connections()).toMatchObject([{ user: users[0] }]);
      client.close();
      await until(() => sse.connections().length === 0);
    }
    expect(authorizer.asked).toEqual([1, 2, 3].map(() => ['a', 'b', 'c']));
    for (const given of [
      false,
      [true, false, true],
      [true, true],
      [true, true, true, true],
      [],
      [true, undefined, true],
      [[true], [true], [true]],
      Array.from({ length: 3 }),
      // oxlint-disable-next-line no-sparse-arrays -- a hole is no decision
      [true, , true],
      'yes',
    ]) {
      authorizer.decision = given;
      expect([given, await statusOf('all?channel=a&channel=b&channel=c')]).toEqual([given, 403]);
    }
    expect(await statusOf('all?channel=a')).toBe(200);
    expect(authorizer.asked.at(-1)).toBe('a');
  });
});
