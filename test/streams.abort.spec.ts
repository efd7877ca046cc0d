import { describe, expect, it } from '@jest/globals';
import { platforms } from './support/app.js';
import { connect } from './support/client.js';
import { Proxy } from './support/proxy.js';
import { randomPrefix, redisUrl, startRedis } from './support/redis.js';
import { startOwner } from './support/stream-owner.js';
import { startHeld, startNode, stores } from './support/streams-app.js';
import { eventually, until, within } from './support/until.js';

const [[, platform]] = platforms;
const soon = (ms: number) => new Promise((resolve) => setTimeout(resolve, Math.random() * ms));
const twoNodes = async (options: object) =>
  [await startNode(platform, options), await startNode(platform, options)] as const;

describe.each(stores)('A request to stop a stream %s', (_, options) => {
  it('ends it with the given reason, and aborts the signal of its producer', async () => {
    const { streams, url } = await startNode(platform, options());
    const { out, handle } = await startHeld(streams, 'a', { leaseMs: 600_000 });
    out.write('before');
    const client = await connect(`${url}/streams/a`);
    expect(await streams.abort('a', 'too slow')).toBe('stopped');
    const end = { status: 'aborted', reason: 'too slow' };
    expect(await handle.done).toEqual(end);
    expect(out.signal.aborted).toBe(true);
    expect(out.signal.reason).toMatchObject({
      name: 'AbortError',
      message: expect.stringContaining('too slow'),
    });
    expect(out.write('after')).toBe(false);
    await until(() => client.ended);
    expect(client.events.slice(1).map(({ data }) => data)).toEqual(['before', JSON.stringify(end)]);
    expect(await streams.status('a')).toMatchObject({ state: 'aborted', reason: 'too slow' });
  });

  it('takes less than a second also while events are being stored', async () => {
    const { streams } = await startNode(platform, options());
    for (let n = 0; n < 5; n++) {
      const { out, handle } = await startHeld(streams, `s${n}`, { leaseMs: 600_000 });
      out.write(1);
      expect(await within(1_000, 'The answer', streams.abort(`s${n}`))).toBe('stopped');
      await handle.done;
    }
  });

  it('is answered with `ended` after the end, and with `missing` without a stream', async () => {
    const { streams } = await startNode(platform, options());
    await (
      await streams.start('a', () => undefined)
    ).done;
    expect([await streams.abort('a'), await streams.abort('never')]).toEqual(['ended', 'missing']);
    expect(await streams.status('a')).toMatchObject({ state: 'done' });
    expect(await streams.status('never')).toEqual({ state: 'missing' });
  });

  it('and the end of the producer make one end, which is the same for all, in 500 races', async () => {
    const { streams, sse } = await startNode(platform, options());
    const outcomes = { stopped: 0, ended: 0 };
    /** How long producers go on, at most, in ms: each side should win half of the races, on any machine. */
    let longest = 30;
    for (let n = 0; n < 500; n += 25) {
      const before = outcomes.stopped;
      const ids = Array.from({ length: 25 }, (__, k) => `race${n + k}`);
      await Promise.all(
        ids.map(async (id) => {
          const { release, handle } = await startHeld(streams, id);
          const ends: unknown[] = [];
          sse
            .messages(id, { from: 'earliest' })
            .subscribe(({ type, data }) => type === 'sse.end' && ends.push(data));
          const reading = (async () => {
            const seen = [];
            for await (const { type, data } of streams.events(id)) seen.push([type, data]);
            return seen;
          })();
          const ending = soon(longest).then(release);
          const aborting = soon(10).then(() => streams.abort(id));
          const [answer, end, seen] = await Promise.all([aborting, handle.done, reading, ending]);
          expect(seen).toEqual([['sse.end', end]]);
          await until(() => ends.length > 0);
          expect(ends).toEqual([end]);
          expect(await streams.status(id)).toMatchObject({ state: end.status });
          expect([answer, end.status]).toEqual(
            answer === 'stopped' ? ['stopped', 'aborted'] : ['ended', 'done'],
          );
          outcomes[answer as keyof typeof outcomes]++;
        }),
      );
      longest *= outcomes.stopped - before < 12 ? 1.5 : 0.7;
    }
    // Otherwise there was no race.
    expect(Math.min(...Object.values(outcomes))).toBeGreaterThan(20);
  });
});

describe('A request to stop a stream of another node', () => {
  it('takes less than a second while its producer writes nothing', async () => {
    const [one, other] = await twoNodes({ redis: redisUrl(), prefix: randomPrefix() });
    const { handle } = await startHeld(one.streams, 'a', { leaseMs: 600_000 });
    // The node has subscribed by then.
    await until(async () => one.sse.stats().connected);
    expect(await within(1_000, 'The answer', other.streams.abort('a'))).toBe('stopped');
    expect(await handle.done).toEqual({ status: 'aborted', reason: 'user' });
  });

  it('takes less than 5 s where the owner gets no messages, also while its producer writes nothing', async () => {
    const redis = await startRedis();
    const proxy = await Proxy.start(redis.port);
    const [owner, other] = [
      await startNode(platform, { redis: proxy.url }),
      await startNode(platform, { redis: redis.url }),
    ];
    const { handle } = await startHeld(owner.streams, 'a', { leaseMs: 600_000 });
    proxy.dropMessage = () => true;
    expect(await within(5_000, 'The answer', other.streams.abort('a'))).toBe('stopped');
    expect(await handle.done).toEqual({ status: 'aborted', reason: 'user' });
    await owner.app.close();
    proxy.close();
  });

  it('is not answered with `stopped` while no owner has confirmed it', async () => {
    const options = { redis: redisUrl(), prefix: randomPrefix() };
    const [node] = await twoNodes(options);
    const suspended = await startOwner({ options, id: 'a', stream: { leaseMs: 60_000 } });
    suspended.process.kill('SIGSTOP');
    expect(await eventually('The answer', node.streams.abort('a'))).toBe('requested');
    expect(await node.streams.status('a')).toMatchObject({ state: 'live' });
    suspended.process.kill('SIGCONT');
    await until(async () => (await node.streams.status('a')).state === 'aborted');
    const killed = await startOwner({ options, id: 'b', stream: { leaseMs: 1_000 } });
    killed.process.kill('SIGKILL');
    expect(await eventually('The answer', node.streams.abort('b'))).toBe('ended');
    expect(await node.streams.status('b')).toMatchObject({ state: 'lost', reason: 'lease' });
  });
});
