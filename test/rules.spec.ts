import { describe, expect, it } from '@jest/globals';
import { fromQuery, type SseTarget } from 'nestjs-sse-channels';
import { connect } from './support/client.js';
import { authorizer, lookUp, nestedQueryPlatforms, startRules } from './support/rules-app.js';
import { until } from './support/until.js';

describe.each(nestedQueryPlatforms)('A rule on %s', (name, platform) => {
  const start = () => startRules(name, platform);

  it('takes only texts from a query: a client cannot set the user, or another key of a target', async () => {
    const { sse, statusOf } = await start();
    for (const path of ['asked', 'listed', 'returned', 'guarded']) {
      for (const query of [
        'channel[channel]=news&channel[user]=nobody',
        'channel[user]=nobody&channel[channel][]=news',
        'channel[][channel]=news',
        'channel[0][channel]=news',
        'channel[1]=news&channel[user]=nobody',
        'x=1',
        '',
      ]) {
        expect([path, query, await statusOf(`${path}?${query}`)]).toEqual([path, query, 400]);
      }
      expect([path, await statusOf(`${path}?channel=news`)]).toEqual([path, 200]);
    }
    await until(() => sse.stats().connections === 0);
  });

  it('takes the user from the authorizer, not from the query', async () => {
    const { url, sse } = await start();
    authorizer.decision = { user: 'ann' };
    const client = await connect(`${url}/asked?channel=news&user=bob`);
    await client.next();
    expect(sse.connections()).toMatchObject([{ user: 'ann' }]);
    expect(await sse.disconnect({ user: 'ann' }, { refuseMs: 0 })).toBe(1);
    await until(() => client.ended);
  });

  it('accepts up to 100 channels in a query, and names the limit when it refuses more', async () => {
    const { url, sse } = await start();
    const query = (count: number) => Array.from({ length: count }, (_, n) => `channel=c${n}`).join('&');
    for (const [path, count] of [20, 21, 100].flatMap((n) => [
      ['asked', n] as const,
      ['returned', n] as const,
    ])) {
      const client = await connect(`${url}/${path}?${query(count)}`);
      await client.next();
      expect(sse.connections().map(({ channels }) => channels.length)).toEqual([count]);
      client.close();
      await until(() => sse.connections().length === 0);
    }
    const refused = await connect(`${url}/asked?${query(101)}`);
    expect(refused.status).toBe(400);
    expect(await refused.body()).toContain('at most 100');
  });

  it.each<[string, unknown]>([
    ['null', null],
    ['undefined', undefined],
    ['an empty list', []],
  ])('refuses a request whose handler returns %s after a failed look-up', async (_what, target) => {
    const { statusOf } = await start();
    lookUp.target = target as SseTarget;
    expect(await statusOf('found?channel=public')).toBe(400);
    lookUp.target = 'news';
    expect(await statusOf('found?channel=public')).toBe(200);
    expect(await statusOf('both?channel=news')).toBe(400);
  });

  it('allows the channels that match its patterns, and no others', async () => {
    const { statusOf } = await start();
    const statuses = await Promise.all(
      [
        'news',
        'team-7',
        'team-a-b',
        'order:7:items',
        'team-',
        'team-7:x',
        'team-7/x',
        'team',
        'xteam-7',
        'order:7:items2',
        'order::items',
        'order:7:8:items',
        'news2',
      ].map(async (channel) => [channel, await statusOf(`listed?channel=${channel}`)]),
    );
    expect(statuses.filter(([, status]) => status === 200).map(([channel]) => channel)).toEqual([
      'news',
      'team-7',
      'team-a-b',
      'order:7:items',
    ]);
    expect(statuses.every(([, status]) => status === 200 || status === 403)).toBe(true);
    expect(await statusOf('of/7')).toBe(200);
    expect(await statusOf('of/7%3Ax')).toBe(403);
  });

  it('takes only texts from a query', () => {
    expect(fromQuery({ query: { channel: ['a', 'b'] } })).toEqual(['a', 'b']);
    for (const channel of [[{ user: 'ann' }], ['a', 1], { user: 'ann' }, 7, null]) {
      expect(() => fromQuery({ query: { channel } })).toThrow('`channel` to be a text, or a list of texts');
    }
  });
});
