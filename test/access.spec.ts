import { beforeEach, describe, expect, it, jest } from '@jest/globals';
import {
  Controller,
  type ExecutionContext,
  Get,
  Injectable,
  Logger,
  type NestInterceptor,
  Param,
  ParseIntPipe,
  Sse,
  UnauthorizedException,
  UseGuards,
  UseInterceptors,
} from '@nestjs/common';
import { Test } from '@nestjs/testing';
import {
  ChannelGuard,
  fromQuery,
  GrantedChannels,
  LastEventId,
  type SseAccess,
  type SseAuthorizer,
  SseChannel,
  type SseGrant,
  SseModule,
  SseService,
} from 'nestjs-sse-channels';
import { delay, from } from 'rxjs';
import { platforms, startApp } from './support/app.js';
import { connect, type StreamClient } from './support/client.js';
import { SessionGuard, type UserRequest } from './support/readers.js';
import { randomPrefix, redisUrl } from './support/redis.js';
import { until } from './support/until.js';

/** What its answers are, for the test to say. */
@Injectable()
class Rights {
  /** `user channel`, or `user *`. */
  readonly all = new Set<string>();
  readonly asked: string[] = [];
  answer: ((channel: string, user: string) => unknown) | undefined;
  access: SseAccess = {};
}

@Injectable()
class Readers implements SseAuthorizer {
  constructor(private readonly rights: Rights) {}

  authorize(channel: string, context: ExecutionContext): Promise<boolean | SseAccess> {
    const { user = '' } = context.switchToHttp().getRequest<UserRequest>();
    const { all, asked, answer, access } = this.rights;
    asked.push(`${user} ${channel}`);
    const answered = answer
      ? answer(channel, user)
      : (all.has(`${user} ${channel}`) || all.has(`${user} *`)) && { user, ...access };
    return Promise.resolve(answered as boolean);
  }
}

/** Work of somebody else's that takes its time: under `@Sse()`, Nest does not wait for it with the head. */
const slowly: NestInterceptor = {
  intercept: (_, next) => from(next.handle()).pipe(delay(50)),
};

@Controller()
class ReadController {
  constructor(private readonly sse: SseService) {}

  @SseChannel('listed', { channel: fromQuery, allow: ['news', 'Café'] })
  listed() {}

  @SseChannel('matched', { channel: fromQuery, allow: /team-\d+|open/g })
  matched() {}

  @SseChannel('asked', { channel: fromQuery, allow: Readers })
  @UseGuards(SessionGuard)
  asked() {}

  @SseChannel('records/:id/sse', { allow: Readers })
  @UseGuards(SessionGuard)
  record(@Param('id', ParseIntPipe) id: number) {
    return `record:${id}`;
  }

  @Sse('guarded')
  @UseGuards(SessionGuard, ChannelGuard(Readers, fromQuery))
  @UseInterceptors(slowly)
  guarded(@GrantedChannels() allowed: SseGrant, @LastEventId() lastEventId?: string) {
    return this.sse.messages(allowed, { lastEventId });
  }

  @Sse('guarded/records/:id')
  @UseGuards(SessionGuard, ChannelGuard(Readers, ({ params }) => `record:${params.id}`))
  guardedRecord(@GrantedChannels() allowed: SseGrant) {
    return this.sse.messages(allowed);
  }

  @Sse('unguarded')
  unguarded(@GrantedChannels() allowed: SseGrant) {
    return this.sse.messages(allowed);
  }

  @SseChannel('trusted/:user')
  trusted(@Param('user') user: string) {
    return { channel: 'shared', user };
  }

  @Get('private')
  @UseGuards(SessionGuard)
  private() {}
}

const cookie = (user: string) => ({ cookie: `session=${user}` });
const isSent = (stream: StreamClient, data: string) => () => stream.text.includes(`data: ${data}`);

describe.each(platforms)('Access on %s', (_, platform) => {
  let rights: Rights;
  let sse: SseService;
  let url: string;

  const start = async (options: object = {}) => {
    const { app, url: at } = await startApp(platform, {
      imports: [SseModule.forRoot({ revalidateMs: 1_000, ...options })],
      controllers: [ReadController],
      providers: [Readers, Rights],
    });
    return { sse: app.get(SseService), rights: app.get(Rights), url: at };
  };
  beforeEach(async () => {
    ({ sse, rights, url } = await start());
  });

  const statusOf = async (path: string, headers = {}) => {
    const client = await connect(url + path, headers);
    client.close();
    return client.status;
  };

  it('is for the channels of a list, and for nothing else', async () => {
    const stream = await connect(`${url}/listed?channel=news&channel=Cafe%CC%81`);
    expect(stream.status).toBe(200);
    await stream.next();
    await sse.publish('hello', { channel: 'Café' });
    expect(await stream.next()).toMatchObject({ data: 'hello' });
    expect(await statusOf('/listed?channel=news')).toBe(200);
    for (const query of ['secret', 'NEWS', 'new', 'newss', '__proto__', 'news&channel=secret']) {
      expect([query, await statusOf(`/listed?channel=${query}`)]).toEqual([query, 403]);
    }
  });

  it('is for the channels whose whole name matches', async () => {
    for (const channel of ['team-1', 'team-22', 'open', 'open']) {
      expect(await statusOf(`/matched?channel=${channel}`)).toBe(200);
    }
    for (const channel of ['team-', 'my-team-1', 'team-1-board', 'reopen', 'opens', 'open%0Ateam-1']) {
      expect([400, 403]).toContain(await statusOf(`/matched?channel=${channel}`));
    }
  });

  it.each([
    '',
    '?channel=',
    '?channel[]=news',
    '?channel[a]=news',
    '?channel=a%00',
    `?channel=${'x'.repeat(201)}`,
  ])('is for nothing that is no channel: %s', async (query) => {
    const stream = await connect(`${url}/listed${query}`);
    expect(stream.status).toBe(400);
  });

  it('has no answer that names a channel', async () => {
    const bodies = await Promise.all(
      ['/listed?channel=secret', '/asked?channel=secret'].map(async (path) =>
        (await connect(url + path, cookie('ann'))).body(),
      ),
    );
    for (const body of bodies) expect(JSON.parse(body)).toMatchObject({ statusCode: 403 });
    expect(bodies.join()).not.toContain('secret');
  });

  describe.each(['asked', 'guarded'])('by an authorizer (/%s)', (path) => {
    it('is what it says, of each channel, of who asks', async () => {
      rights.all.add('ann a').add('ann é');
      expect(await statusOf(`/${path}?channel=a`, cookie('ann'))).toBe(200);
      expect(await statusOf(`/${path}?channel=a&channel=e%CC%81`, cookie('ann'))).toBe(200);
      expect(await statusOf(`/${path}?channel=a&channel=b`, cookie('ann'))).toBe(403);
      expect(await statusOf(`/${path}?channel=a`, cookie('bob'))).toBe(403);
      expect(await statusOf(`/${path}?channel=a`)).toBe(401);
      expect(rights.asked).toEqual(['ann a', 'ann a', 'ann é', 'ann a', 'ann b', 'bob a']);
    });

    it('is asked for when a client comes back, too', async () => {
      rights.all.add('ann a');
      const first = await connect(`${url}/${path}?channel=a`, cookie('ann'));
      await until(() => sse.connections().length === 1);
      await sse.publish('seen', { channel: 'a' });
      await until(isSent(first, 'seen'));
      const { id } = first.events.at(-1)!;
      first.close();
      await sse.publish('missed', { channel: 'a' });
      rights.all.clear();
      const second = await connect(`${url}/${path}?channel=a`, { ...cookie('ann'), 'last-event-id': id! });
      expect(second.status).toBe(403);
      expect(await second.body()).not.toContain('missed');
    });

    it('lets events of the channel through', async () => {
      rights.all.add('ann a');
      const stream = await connect(`${url}/${path}?channel=a`, cookie('ann'));
      await until(() => sse.connections().length === 1);
      await sse.publish('hello', { channel: 'a' });
      await until(isSent(stream, 'hello'));
    });

    it('can be a 401', async () => {
      rights.answer = () => {
        throw new UnauthorizedException();
      };
      expect(await statusOf(`/${path}?channel=a`, cookie('ann'))).toBe(401);
    });

    it.each<[string, () => unknown]>([
      ['says nothing', () => undefined],
      ['says null', () => null],
      ['says 1', () => 1],
      ['says yes', () => 'yes'],
      ['names no user', () => ({ user: {} })],
      ['gives no date', () => ({ user: 'ann', expiresAt: 1_800_000_000 })],
      ['gives a date that is past', () => ({ user: 'ann', expiresAt: new Date(Date.now() - 1) })],
      ['gives an invalid date', () => ({ user: 'ann', issuedAt: new Date(NaN) })],
    ])('is refused where it %s', async (_what, answer) => {
      const logged = jest.spyOn(Logger.prototype, 'error').mockReturnValue(undefined);
      rights.answer = answer;
      const client = await connect(`${url}/${path}?channel=a`, cookie('ann'));
      expect(client.status).toBe(403);
      // One printable line.
      for (const [line] of logged.mock.calls) expect(line).toMatch(/^[^\p{Cc}]+$/u);
      logged.mockRestore();
    });

    it('ends once it says no, and that of others goes on', async () => {
      rights.all.add('ann a').add('bob a');
      const [ann, bob] = await Promise.all(
        ['ann', 'bob'].map((user) => connect(`${url}/${path}?channel=a`, cookie(user))),
      );
      await until(() => sse.connections().length === 2);
      rights.all.delete('ann a');
      await until(() => ann!.ended);
      await sse.publish('for bob', { channel: 'a' });
      await until(isSent(bob!, 'for bob'));
      expect(ann!.text).not.toContain('for bob');
      expect(await statusOf(`/${path}?channel=a`, cookie('ann'))).toBe(403);
    });

    it('ends by the time its credential expires', async () => {
      rights.all.add('ann a');
      const expires = Date.now() + 800;
      rights.access = { expiresAt: new Date(expires) };
      const stream = await connect(`${url}/${path}?channel=a`, cookie('ann'));
      await until(() => stream.ended);
      expect(Date.now()).toBeGreaterThan(expires - 400);
    });
  });

  it('is that of a record, which the path names', async () => {
    rights.all.add('owner record:7');
    for (const path of ['records/7/sse', 'guarded/records/7']) {
      const owner = await connect(`${url}/${path}`, cookie('owner'));
      await until(() => sse.connections().length === 1);
      await sse.publish('changed', { channel: 'record:7' });
      await until(isSent(owner, 'changed'));
      owner.close();
      await until(() => sse.connections().length === 0);
      expect(await statusOf(`/${path}`, cookie('stranger'))).toBe(403);
      expect(await statusOf(`/${path}`)).toBe(401);
    }
    expect(await statusOf('/records/8/sse', cookie('owner'))).toBe(403);
    expect(await statusOf('/records/x/sse', cookie('owner'))).toBe(400);
  });

  it('is not for what only looks like a permission', () => {
    for (const forged of [
      { access: '1', channels: ['!disconnect'] },
      { access: {}, channels: ['a'], renew: null },
    ]) {
      expect(() => sse.messages(forged as unknown as string)).toThrow(/Expected `channel`/);
    }
  });

  it('is not for a route that hands out channels without a rule', async () => {
    expect(await statusOf('/unguarded?channel=a')).toBe(500);
  });

  describe('that is taken away by disconnect()', () => {
    const users = ['ann', 'bob'];
    const open = async (path: string, at = url) => {
      for (const user of users) rights.all.add(`${user} *`);
      const [ann, bob] = await Promise.all(users.map((user) => connect(`${at}/${path}`, cookie(user))));
      return { ann: ann!, bob: bob! };
    };

    it.each(['asked?channel=a', 'guarded?channel=a'])('ends the streams of a user (/%s)', async (path) => {
      const { ann, bob } = await open(path);
      await until(() => sse.connections().length === 2);
      await sse.disconnect({ user: 'ann' });
      await until(() => ann.ended);
      await sse.publish('for bob', { channel: 'a' });
      await until(isSent(bob, 'for bob'));
      const again = await connect(`${url}/${path}`, cookie('ann'));
      await until(() => again.ended);
      expect([again.status, again.events]).toEqual([200, []]);
    });

    it('tells their clients to come later', async () => {
      const { ann } = await open('asked?channel=a');
      await until(() => sse.connections().length === 2);
      await sse.disconnect({ user: 'ann' }, { refuseMs: 30_000 });
      const again = await (async () => {
        await until(() => ann.ended);
        return connect(`${url}/asked?channel=a`, cookie('ann'));
      })();
      await until(() => again.ended);
      for (const { text } of [ann, again]) {
        const [last] = text.match(/retry: \d+/g)!.slice(-1);
        expect(Number(last!.slice(7))).toBeGreaterThan(29_000);
        expect(Number(last!.slice(7))).toBeLessThanOrEqual(45_000);
      }
    });

    it('lets them in again after refuseMs, and before with a newer credential', async () => {
      const { ann } = await open('asked?channel=a');
      await until(() => sse.connections().length === 2);
      await sse.disconnect({ user: 'ann' });
      await until(() => ann.ended);
      rights.access = { issuedAt: new Date(Date.now() - 60_000) };
      const old = await connect(`${url}/asked?channel=a`, cookie('ann'));
      await until(() => old.ended);
      rights.access = { issuedAt: new Date(Date.now() + 1) };
      const fresh = await connect(`${url}/asked?channel=a`, cookie('ann'));
      expect((await fresh.next()).event).toBe('sse.open');
      await sse.disconnect({ user: 'bob' }, { refuseMs: 0 });
      // Who was asked about in the same millisecond is asked about again.
      const heard = Date.now();
      await until(() => Date.now() > heard);
      const bob = await connect(`${url}/asked?channel=a`, cookie('bob'));
      expect((await bob.next()).event).toBe('sse.open');
    });

    it('ends the streams of a channel, of a user in a channel, and one stream', async () => {
      const [first, second] = [await open('asked?channel=a'), await open('asked?channel=b&channel=c')];
      await until(() => sse.connections().length === 4);
      await sse.disconnect({ channel: 'b', user: 'ann' });
      await until(() => second.ann.ended);
      const { id } = sse
        .connections()
        .find(({ user, channels }) => user === 'bob' && channels.includes('a'))!;
      await sse.disconnect({ connection: id });
      await until(() => first.bob.ended);
      await until(() => sse.connections().length === 2);
      expect(sse.connections()).toMatchObject([
        { id: expect.any(String), user: 'ann', channels: ['a'], since: expect.any(Date) },
        { id: expect.any(String), user: 'bob', channels: ['b', 'c'], since: expect.any(Date) },
      ]);
      await sse.disconnect({ channel: 'c' });
      await until(() => second.bob.ended);
      expect(first.ann.ended).toBe(false);
    });

    it('also where the handler says whose stream it is', async () => {
      const stream = await connect(`${url}/trusted/ann`);
      await until(() => sse.connections().length === 1);
      await sse.disconnect({ user: 'ann' });
      await until(() => stream.ended);
    });

    it('ends them on every node, and keeps them out of one that had no streams yet', async () => {
      const options = { redis: redisUrl(), prefix: randomPrefix() };
      const nodes = [await start(options), await start(options), await start(options)];
      for (const {
        rights: { all },
      } of nodes)
        all.add('ann *').add('bob *');
      const streams = await Promise.all(
        nodes
          .slice(0, 2)
          .flatMap((node) => users.map((user) => connect(`${node.url}/asked?channel=a`, cookie(user)))),
      );
      await Promise.all(streams.map((stream) => stream.next()));
      await nodes[2]!.sse.disconnect({ user: 'ann' });
      await until(() => streams[0]!.ended && streams[2]!.ended);
      const again = await connect(`${nodes[2]!.url}/asked?channel=a`, cookie('ann'));
      await until(() => again.ended);
      await nodes[2]!.sse.publish('still there', { channel: 'a' });
      for (const bob of [streams[1]!, streams[3]!]) await until(isSent(bob, 'still there'));
    });

    it.each<[object, RegExp]>([
      [{}, /`user`, `session`, `channel` or `connection`/],
      [{ user: {} }, /`user`.*a string or a number/],
      [{ channel: 'a b' }, /`channel`/],
      [{ connection: 5 }, /`connection`/],
    ])('takes no %j', async (target, message) => {
      await expect(sse.disconnect(target)).rejects.toMatchObject({
        code: 'SSE_INPUT',
        message: expect.stringMatching(message),
      });
    });

    it.each([-1, 0.5, 3_600_001, NaN, '5'])('takes no refuseMs of %s', async (refuseMs) => {
      await expect(sse.disconnect({ user: 'ann' }, { refuseMs: refuseMs as number })).rejects.toMatchObject({
        code: 'SSE_INPUT',
      });
    });
  });
});

describe('A rule', () => {
  it.each<[unknown, string]>([
    ['news', 'a list of channels or patterns'],
    [{ news: true }, 'a list of channels or patterns'],
    [null, 'a list of channels or patterns'],
    [['a b'], '`channel`'],
  ])('is no %j', (allow, message) => {
    expect(() => SseChannel('x', { allow: allow as [] })).toThrow(message);
    expect(() => ChannelGuard(allow as [], fromQuery)).toThrow(message);
  });

  it('that is a class which cannot be made keeps the application from starting', async () => {
    const module = await Test.createTestingModule({
      imports: [SseModule.forRoot()],
      controllers: [ReadController],
    }).compile();
    await expect(module.init()).rejects.toThrow(/dependencies of the Readers.*Rights/);
    await module.close();
  });
});
