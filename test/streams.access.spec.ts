import { Controller, type ExecutionContext, Get, Injectable, Param, Post, UseGuards } from '@nestjs/common';
import { beforeEach, describe, expect, it } from '@jest/globals';
import {
  type SseAuthorizer,
  SseModule,
  SseService,
  SseStream,
  SseStreams,
  StreamGuard,
} from 'nestjs-sse-channels';
import { type Platform, platforms, startApp } from './support/app.js';
import { connect } from './support/client.js';
import { randomPrefix, redisUrl } from './support/redis.js';
import { SessionGuard, type UserRequest } from './support/readers.js';
import { cookie } from './support/rights-app.js';
import { startHeld } from './support/streams-app.js';
import { eventually, until } from './support/until.js';

/** Lets each user read the streams that begin with the user's name. */
@Injectable()
class Owners implements SseAuthorizer {
  readonly asked: string[] = [];
  isBroken = false;

  authorize(id: string, context: ExecutionContext) {
    const { user = '' } = context.switchToHttp().getRequest<UserRequest>();
    this.asked.push(`${user} ${id}`);
    if (this.isBroken) throw new Error('The database is gone');
    return id.startsWith(`${user}:`) && { user };
  }
}

@Controller()
@UseGuards(SessionGuard)
class JobsController {
  constructor(private readonly streams: SseStreams) {}

  @Get('jobs/:id')
  @SseStream({ allow: Owners })
  watch(@Param('id') id: string) {
    return this.streams.attach(id);
  }

  @Get('queued/:id')
  @SseStream({ allow: Owners })
  queued(@Param('id') id: string) {
    return this.streams.attach(id, { expected: true });
  }

  @Post('jobs/:id')
  @SseStream({ allow: Owners, stream: ({ params }) => params.id })
  run(@Param('id') id: string) {
    return this.streams.start(id, (out) => void out.write(1));
  }

  @Post('wrong/:id')
  @SseStream({ allow: Owners })
  wrong(@Param('id') id: string) {
    return this.streams.start(id, () => undefined);
  }

  @Post('jobs/:id/stop')
  @UseGuards(StreamGuard(Owners, ({ params }) => params.id))
  stop(@Param('id') id: string) {
    return this.streams.abort(id);
  }
}

const start = async (platform: Platform) => {
  const { app, url } = await startApp(platform, {
    imports: [SseModule.forRoot({ redis: redisUrl(), prefix: randomPrefix(), retryMs: 100 })],
    controllers: [JobsController],
    providers: [Owners],
  });
  return { owners: app.get(Owners), streams: app.get(SseStreams), sse: app.get(SseService), url };
};
const post = (url: string, user: string) => fetch(url, { method: 'POST', headers: cookie(user) });

describe.each(platforms)('Access to streams on %s', (_, platform) => {
  let world: Awaited<ReturnType<typeof start>>;
  beforeEach(async () => {
    world = await start(platform);
  });

  it('is decided when a client attaches, and each time that it reconnects', async () => {
    const { owners, streams, url } = world;
    const { release, handle } = await startHeld(streams, 'ann:1');
    const client = await connect(`${url}/jobs/ann:1`, cookie('ann'));
    const { id } = await client.next();
    client.close();
    const again = await connect(`${url}/jobs/ann:1`, { ...cookie('ann'), 'last-event-id': id! });
    expect([client.status, again.status]).toEqual([200, 200]);
    expect((await connect(`${url}/jobs/ann:1`, cookie('bob'))).status).toBe(403);
    expect(owners.asked).toEqual(['ann ann:1', 'ann ann:1', 'bob ann:1']);
    release();
    await handle.done;
  });

  it('is refused in the same way, whether the stream is live, has ended, or does not exist', async () => {
    const { streams, url } = world;
    const { release, handle } = await startHeld(streams, 'ann:live');
    await (
      await streams.start('ann:ended', () => undefined)
    ).done;
    const { lastEventId } = await streams.status('ann:ended');
    const answers = [];
    for (const name of ['live', 'ended', 'never']) {
      for (const headers of [{}, { 'last-event-id': lastEventId! }] as Record<string, string>[]) {
        const refused = await connect(`${url}/jobs/ann:${name}`, { ...cookie('bob'), ...headers });
        const { date: _date, ...sent } = refused.headers;
        answers.push([refused.status, sent, await refused.body()]);
      }
      const stop = await post(`${url}/jobs/ann:${name}/stop`, 'bob');
      answers.push([stop.status, undefined, await stop.text()]);
    }
    expect(answers.map(([status]) => status)).toEqual(Array.from(answers, () => 403));
    expect(answers.slice(3, 6)).toEqual(answers.slice(0, 3));
    expect(answers.slice(6)).toEqual(answers.slice(0, 3));
    expect((await streams.status('ann:live')).state).toBe('live');
    release();
    await handle.done;
  });

  it('is decided by the guard of the route that stops them', async () => {
    const { streams, url, owners } = world;
    const { handle } = await startHeld(streams, 'ann:1');
    expect((await post(`${url}/jobs/ann:1/stop`, 'bob')).status).toBe(403);
    owners.isBroken = true;
    expect((await post(`${url}/jobs/ann:1/stop`, 'ann')).status).toBe(503);
    owners.isBroken = false;
    const answer = await post(`${url}/jobs/ann:1/stop`, 'ann');
    expect([answer.status, await answer.text()]).toEqual([201, 'stopped']);
    expect(await handle.done).toEqual({ status: 'aborted', reason: 'user' });
    expect(owners.asked).toEqual(['bob ann:1', 'ann ann:1', 'ann ann:1']);
  });

  it('is decided before a stream is started', async () => {
    const { streams, url } = world;
    const { release, handle } = await startHeld(streams, 'ann:live');
    for (const id of ['ann:live', 'ann:never']) {
      expect((await post(`${url}/jobs/${id}`, 'bob')).status).toBe(403);
    }
    expect((await streams.status('ann:never')).state).toBe('missing');
    expect((await post(`${url}/jobs/ann:live`, 'ann')).status).toBe(409);
    expect(await (await post(`${url}/jobs/ann:own`, 'ann')).text()).toContain('event: sse.end');
    expect((await post(`${url}/wrong/ann:1`, 'ann')).status).toBe(500);
    expect((await streams.status('ann:1')).state).toBe('missing');
    release();
    await handle.done;
  });

  it('lets a client retry while the authorizer fails, and answers other methods with 503', async () => {
    const { owners, url } = world;
    owners.isBroken = true;
    const client = await connect(`${url}/jobs/ann:1`, cookie('ann'));
    expect([client.status, await client.body()]).toEqual([200, expect.stringMatching(/^retry: \d+\n$/)]);
    expect((await post(`${url}/jobs/ann:1`, 'ann')).status).toBe(503);
  });

  it('lets a client retry until an expected stream starts', async () => {
    const { streams, url } = world;
    const early = await connect(`${url}/queued/ann:1`, cookie('ann'));
    expect([early.status, await early.body()]).toEqual([200, expect.stringMatching(/^retry: \d+\n$/)]);
    await (
      await streams.start('ann:1', (out) => void out.write('job'))
    ).done;
    const client = await connect(`${url}/queued/ann:1`, cookie('ann'));
    await until(() => client.ended);
    expect(client.events.slice(1).map(({ data }) => data)).toEqual(['job', '{"status":"done"}']);
    const { id } = client.events.at(-1)!;
    const again = await connect(`${url}/queued/ann:1`, { ...cookie('ann'), 'last-event-id': id! });
    expect(again.status).toBe(204);
  });

  it('ends for readers that are disconnected, and the stream goes on', async () => {
    const { streams, sse, url } = world;
    const { out, release, handle } = await startHeld(streams, 'ann:1');
    const client = await connect(`${url}/jobs/ann:1`, cookie('ann'));
    await client.next();
    expect(sse.connections()).toMatchObject([{ user: 'ann', channels: ['ann:1'], route: '/jobs/:id' }]);
    await sse.disconnect({ user: 'ann' });
    await until(() => client.ended);
    expect(client.text).not.toContain('sse.end');
    expect(out.write('more')).toBe(true);
    release();
    expect(await handle.done).toEqual({ status: 'done' });
  });

  it('stops the producer after its last reader has left, if the stream asks for that', async () => {
    const { streams, url } = world;
    const lonely = await startHeld(streams, 'ann:1', { leaseMs: 2_000, onDisconnect: 'abort' });
    const other = await startHeld(streams, 'ann:2', { leaseMs: 2_000 });
    const client = await connect(`${url}/jobs/ann:1`, cookie('ann'));
    // Longer than without a reader.
    await new Promise((resolve) => setTimeout(resolve, 5_000));
    expect(lonely.out.signal.aborted).toBe(false);
    client.close();
    expect(await eventually('The end', lonely.handle.done)).toEqual({
      status: 'aborted',
      reason: 'disconnect',
    });
    expect((await streams.status('ann:2')).state).toBe('live');
    other.release();
  });
});
