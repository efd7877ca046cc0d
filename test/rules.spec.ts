import { type CanActivate, Controller, Injectable, Param, Query, Sse, UseGuards } from '@nestjs/common';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { describe, expect, it } from '@jest/globals';
import {
  ChannelGuard,
  fromQuery,
  GrantedChannels,
  type SseAuthorizer,
  SseChannel,
  SseGrant,
  SseModule,
  SseService,
  type SseTarget,
} from 'nestjs-sse-channels';
import qs from 'qs';
import { of } from 'rxjs';
import { expressionOf } from '../src/http/channel-pattern.js';
import { startApp } from './support/app.js';
import { connect } from './support/client.js';
import { watchLog } from './support/log.js';
import { until } from './support/until.js';

/** What the authorizer answers. */
let answer: unknown;

@Injectable()
class Readers implements SseAuthorizer {
  authorize() {
    return answer as boolean;
  }
}

/** What the handler returns by a missed look-up. */
let found: SseTarget;

/** Lets requests wait behind the guard that has asked for them. */
@Injectable()
class SlowGuard implements CanActivate {
  static waiting: (() => void) | undefined;

  canActivate(): Promise<boolean> {
    return new Promise((resolve) => (SlowGuard.waiting = () => resolve(true)));
  }
}

/** What the authorizer was asked. */
const asked: unknown[] = [];

@Injectable()
class ReadersOfAll implements SseAuthorizer {
  authorize(channel: string) {
    asked.push(channel);
    return { user: 'one' };
  }

  authorizeAll(channels: string[]) {
    asked.push([...channels]);
    // What it is given is its own.
    channels.length = 0;
    return answer as boolean;
  }
}

@Controller()
class ReadController {
  constructor(private readonly sse: SseService) {}

  @SseChannel('asked', { channel: fromQuery, allow: Readers })
  asked() {}

  @SseChannel('all', { channel: fromQuery, allow: ReadersOfAll })
  all() {}

  @SseChannel('listed', { channel: fromQuery, allow: ['news', 'team-{id}', 'order:{id}:items'] })
  listed() {}

  @SseChannel('returned', { allow: Readers })
  returned(@Query('channel') channel: string) {
    return channel;
  }

  @SseChannel('found', { allow: ['news', 'public'] })
  found() {
    return found;
  }

  @SseChannel('both', { channel: fromQuery, allow: ['news'] })
  both() {
    return 'news' as never;
  }

  @SseChannel('of/:team', { channel: ({ params }) => `team-${params.team}`, allow: ['team-{id}'] })
  ofTeam() {}

  @SseChannel('granted/:id')
  @UseGuards(ChannelGuard(Readers, ({ params }) => [`order:${params.id}`, 'news']))
  granted(@GrantedChannels() granted: SseGrant) {
    return granted;
  }

  @SseChannel('granted-again')
  @UseGuards(ChannelGuard(['news'], fromQuery))
  grantedAgain(@Param() _params: unknown, @GrantedChannels() granted: SseGrant) {
    return granted;
  }

  @SseChannel('slowly-granted')
  @UseGuards(ChannelGuard(Readers, fromQuery), SlowGuard)
  slowlyGranted(@GrantedChannels() granted: SseGrant) {
    return granted;
  }

  @Sse('guarded')
  @UseGuards(ChannelGuard(Readers, fromQuery))
  guarded(@GrantedChannels() granted: SseGrant) {
    return this.sse.messages(granted);
  }
}

/** With parsers that make objects of a nested query. */
const nested = [
  ['Express', () => new ExpressAdapter()],
  ['Fastify', () => new FastifyAdapter({ routerOptions: { querystringParser: (text) => qs.parse(text) } })],
] as const;

describe.each(nested)('A rule on %s', (name, platform) => {
  const { failed } = watchLog();

  const start = async () => {
    const imports = [SseModule.forRoot()];
    const { app, url } = await startApp(platform, { imports, controllers: [ReadController] }, (created) => {
      if (name === 'Express') {
        (created.getHttpAdapter().getInstance() as { set(key: string, value: string): void }).set(
          'query parser',
          'extended',
        );
      }
    });
    answer = true;
    const sse = app.get(SseService);
    const statusOf = async (path: string) => {
      const client = await connect(`${url}/${path}`);
      client.close();
      return client.status;
    };
    return { url, sse, statusOf };
  };

  it('takes texts alone from a query: a client can name no user, and no other key of a target', async () => {
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
    await until(() => sse.stats().streams === 0);
  });

  it('has the user of the authorizer, whatever else is named', async () => {
    const { url, sse } = await start();
    answer = { user: 'ann' };
    const client = await connect(`${url}/asked?channel=news&user=bob`);
    await client.next();
    expect(sse.connections()).toMatchObject([{ user: 'ann' }]);
    expect(await sse.disconnect({ user: 'ann' }, { refuseMs: 0 })).toBe(1);
    await until(() => client.ended);
  });

  it('takes up to 100 channels of a query, and says so for more', async () => {
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
  ])('lets nothing through for %s, found by a missed look-up', async (_what, target) => {
    const { statusOf } = await start();
    found = target as SseTarget;
    expect(await statusOf('found?channel=public')).toBe(400);
    found = 'news';
    expect(await statusOf('found?channel=public')).toBe(200);
    expect(await statusOf('both?channel=news')).toBe(400);
  });

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
  ])('refuses whoever is answered with %s, and logs it', async (_what, given) => {
    const { statusOf } = await start();
    for (const path of ['asked?channel=news', 'returned?channel=news', 'guarded?channel=news', 'granted/7']) {
      answer = given;
      failed.mockClear();
      expect([path, await statusOf(path)]).toEqual([path, 403]);
    }
    answer = false;
    expect(await statusOf('asked?channel=news')).toBe(403);
    answer = { user: 7 };
    expect(await statusOf('asked?channel=news')).toBe(200);
  });

  it('logs an answer that is none, without its content', async () => {
    const { statusOf } = await start();
    answer = { allowed: 'secret' };
    await statusOf('asked?channel=news');
    expect(failed.mock.calls.flat()).toEqual([
      expect.stringMatching(/^Readers refuses, because its answer is no decision: .*`allowed`/),
    ]);
    expect(String(failed.mock.calls)).not.toContain('secret');
    failed.mockClear();
    answer = false;
    expect(await statusOf('asked?channel=news')).toBe(403);
    expect(failed).not.toHaveBeenCalled();
  });

  it('puts one question for all channels of a connection', async () => {
    const { url, sse, statusOf } = await start();
    asked.length = 0;
    for (const [given, users] of [
      [true, []],
      [{ user: 'ann' }, ['ann']],
      [
        [true, { user: 'ann' }, { user: 'bob' }],
        ['ann', 'bob'],
      ],
    ] as const) {
      answer = given;
      const client = await connect(`${url}/all?channel=a&channel=b&channel=c`);
      await client.next();
      expect(sse.connections()).toMatchObject([{ user: users[0] }]);
      client.close();
      await until(() => sse.connections().length === 0);
    }
    expect(asked).toEqual([1, 2, 3].map(() => ['a', 'b', 'c']));
    for (const given of [
      false,
      [true, false, true],
      [true, true],
      [true, true, true, true],
      [],
      [true, undefined, true],
      [[true], [true], [true]],
      Array.from({ length: 3 }),
      // oxlint-disable-next-line no-sparse-arrays -- a hole is no answer
      [true, , true],
      'yes',
    ]) {
      answer = given;
      expect([given, await statusOf('all?channel=a&channel=b&channel=c')]).toEqual([given, 403]);
    }
    expect(await statusOf('all?channel=a')).toBe(200);
    expect(asked.at(-1)).toBe('a');
  });

  it('allows the channels of its patterns, and no others', async () => {
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

  it('may be a guard, whose channels the handler returns', async () => {
    const { url, sse, statusOf } = await start();
    answer = { user: 'ann' };
    const client = await connect(`${url}/granted/7`);
    await client.next();
    expect(sse.connections()).toMatchObject([{ user: 'ann', channels: ['order:7', 'news'] }]);
    await sse.publish('x', { channel: 'order:7' });
    expect(await client.next()).toMatchObject({ data: 'x' });
    answer = false;
    expect(await statusOf('granted/7')).toBe(403);
    expect(await statusOf('granted-again?channel=news')).toBe(200);
    expect(await statusOf('granted-again?channel=other')).toBe(403);
  });
});

describe.each(nested)('A guard on %s', (_name, platform) => {
  it('does not count what it was told before a disconnection, however long the request takes after it', async () => {
    const imports = [SseModule.forRoot()];
    const { app, url } = await startApp(platform, { imports, controllers: [ReadController] });
    answer = { user: 'ann' };
    SlowGuard.waiting = undefined;
    const connecting = connect(`${url}/slowly-granted?channel=news`);
    await until(() => SlowGuard.waiting !== undefined);
    await app.get(SseService).disconnect({ user: 'ann' }, { refuseMs: 0 });
    const after = Date.now();
    await until(() => Date.now() > after);
    SlowGuard.waiting!();
    const client = await connecting;
    await until(() => client.ended);
    expect([client.status, client.events]).toEqual([200, []]);
    expect(client.text).toMatch(/^retry: \d+\n/m);
  });
});

describe('A rule', () => {
  it.each([
    /(team|org)(-?\w+)*/,
    /(a+)+/,
    /(a*)*b/,
    /(a|a)*/,
    /(a|b|ab)+c/,
    /(?:a?){50}a{50}/,
    /\w*\w*\w*\w*\w*x/,
    /\w+-\w+-\w+-\w+/,
    /(.*)(.*)(.*)(.*)(.*)=/,
    /(?<name>a+)+/,
    /(a{1,100}){1,100}/,
    /(a)\1/,
    /(?<x>a)\k<x>/,
    /(?=a)a/,
    /(?!a)b/,
    /(?<=a)b/,
    /(?<!a)b/,
    /([a-z]+-?)+/,
    /((a|b)|(a|c)){30}/,
    /(?:\w+)*(?:-{201,300}){0,1}@/,
    /(a+){0}(b*)*c{0}/,
    /(?:(?:a|b){99999}){0,1}(?:\w+)*/,
  ])('that could take long for some name is refused when the class is defined: %s', (allow) => {
    expect(() => SseChannel('x', { allow })).toThrow(expect.objectContaining({ code: 'SSE_OPTIONS' }));
    expect(() => ChannelGuard(allow, fromQuery)).toThrow('`allow`');
  });

  it.each<[RegExp, string]>([
    [/team-\d+/, 'team-12'],
    [/(?:team|org)-\w+/, 'org-x'],
    [/(?<kind>team|org)-[\w-]+/i, 'TEAM-x'],
    [/order:\d{4}-\d{2}(:items)?/, 'order:2026-11:items'],
    [/[(*+]?news/, 'news'],
    [/a\(b\)|news/, 'news'],
    [/\w+-\w+-\w+/, 'a-b-c'],
    [/\p{L}+/u, 'Café'],
  ])('that takes few steps is taken, and holds for whole names: %s', (allow, channel) => {
    expect(() => SseChannel('x', { allow })).not.toThrow();
    const matches = expressionOf(allow);
    expect(matches(channel)).toBe(true);
    expect(matches(`x/${channel}`)).toBe(false);
    expect(matches(`${channel}/x`)).toBe(false);
  });

  it.each<[string, unknown]>([
    ['undefined', undefined],
    ['null', null],
    ['an arrow function', (channel: string) => channel === 'news'],
    ['a text', 'news'],
    ['an object', {}],
    ['a pattern whose brace is open', ['team-{id']],
    ['a pattern with a brace too many', ['team-{id}}']],
    ['a pattern whose parameter has no name', ['team-{}']],
    ['a pattern whose parameters touch', ['{a}{b}']],
    ['a pattern with what no channel has', ['a b-{id}']],
    ['a list with what is no text', [7]],
  ])('is refused when the class is defined: %s', (_what, allow) => {
    expect(() => SseChannel('x', { allow: allow as [] })).toThrow();
    expect(() => ChannelGuard(allow as [], fromQuery)).toThrow();
  });

  it('is refused at start: a class without authorize(), one with hooks that is no provider', async () => {
    class Nothing {
      readonly name = 'nothing';
    }
    class Loaded {
      onModuleInit = () => undefined;
      authorize = () => true;
    }
    // oxlint-disable-next-line func-names -- as it is written by hand
    const written = function (channel: string) {
      return channel === 'news';
    };
    for (const [allow, message] of [
      [Nothing, 'a class with authorize()'],
      [written, 'a class with authorize()'],
      [Loaded, 'among the providers'],
    ] as const) {
      @Controller()
      class Routes {
        @SseChannel('x', { allow: allow as never })
        x() {
          return 'news';
        }
      }
      const metadata = { imports: [SseModule.forRoot()], controllers: [Routes] };
      const starting = startApp(nested[0][1], metadata);
      await expect(starting).rejects.toMatchObject({
        code: 'SSE_OPTIONS',
        message: expect.stringContaining(message),
      });
      if (allow !== Loaded) continue;
      const { url } = await startApp(nested[0][1], { ...metadata, providers: [Loaded] });
      expect((await connect(`${url}/x`)).status).toBe(200);
    }
  });

  it('is not needed to make a grant in a test', () => {
    expect(new SseGrant({ channels: ['news', 'Cafe\u0301', 'news'] })).toMatchObject({
      channels: ['news', 'Caf\u00e9'],
      access: {},
    });
    for (const channels of [['!disconnect'], [], [undefined], ['a b'], 'x\n']) {
      expect(() => new SseGrant({ channels: channels as string[] })).toThrow('`channel`');
    }
    expect(() => new SseGrant({ channels: ['news'], access: { user: '' } })).toThrow('`user`');
    for (const [slip, name] of [
      [{ channels: ['news'], acess: { user: 'ann' } }, '`acess`'],
      [{ channels: ['news'], access: { usr: 'ann' } }, '`usr`'],
      [{ channels: ['news'], access: { expiresAt: new Date('x') } }, '`expiresAt`'],
      [Promise.resolve({ channels: ['news'] }), 'a Promise'],
    ] as const) {
      expect(() => new SseGrant(slip as unknown as SseGrant)).toThrow(name);
    }
  });
});
