import { describe, expect, it } from '@jest/globals';
import type { SseConnection } from 'nestjs-sse-channels';
import { platforms } from './support/app.js';
import { connect, type SseClient } from './support/client.js';
import { randomPrefix, redisUrl } from './support/redis.js';
import { startOwner } from './support/stream-owner.js';
import { startHeld, startNode } from './support/streams-app.js';
import { eventually, until, within } from './support/until.js';

const LEASE_MS = 2_000;
const LOST = { event: 'sse.end', data: '{"status":"lost","reason":"lease"}' };
/** A stream of a process of its own, and a node of each platform with readers. */
async function world(stream: object = {}, count?: number, drainMs = 1_500) {
  const options = { redis: redisUrl(), prefix: randomPrefix() };
  const nodes = await Promise.all(platforms.map(([, platform]) => startNode(platform, options)));
  const owner = await startOwner({ options: { ...options, drainMs }, id: 'a', stream, count });
  const attach = () => Promise.all(nodes.map(({ url }) => connect(`${url}/streams/a`)));
  const clients = [...(await attach()), ...(await attach())];
  await until(() => clients.every(({ events }) => events.length > 10));
  return { nodes, owner, clients, attach };
}
const allEnded = (clients: readonly SseClient[]) => until(() => clients.every(({ ended }) => ended));
/** The numbers that a client got. */
const numbers = ({ events }: SseClient) =>
  events.filter(({ event }) => event === undefined).map(({ data }) => Number(data));
const isWhole = (all: readonly number[]) => all.every((n, index) => n === index);

describe('A stream whose producer', () => {
  it('is killed ends as lost for every reader on every node, within a second after its lease', async () => {
    const { nodes, owner, clients } = await world({ leaseMs: LEASE_MS });
    owner.process.kill('SIGKILL');
    await within(LEASE_MS + 1_000, 'The end for everyone', allEnded(clients));
    const ends = clients.map(({ events }) => events.at(-1));
    expect(ends).toEqual(clients.map(() => ({ ...LOST, id: ends[0]!.id })));
    for (const client of clients) {
      expect(client.events.filter(({ event }) => event?.startsWith('sse.'))).toHaveLength(2);
      expect(isWhole(numbers(client))).toBe(true);
      expect(numbers(client)).toEqual(numbers(clients[0]!));
    }
    const states = await Promise.all(nodes.map(({ streams }) => streams.status('a')));
    const startedAt = expect.any(Date);
    const generation = expect.any(String);
    const state = { state: 'lost', reason: 'lease', startedAt, generation, lastEventId: ends[0]!.id };
    expect(states).toEqual([state, state]);
    const lost = nodes.map(({ sse }) => sse.stats().streams.ended.lost);
    expect(lost[0]! + lost[1]!).toBe(1);
  });

  it('is killed is lost for a reader that stays when others of its node are disconnected', async () => {
    const { nodes, owner, clients } = await world({ leaseMs: LEASE_MS });
    const [{ id }] = nodes[0]!.sse.connections() as [SseConnection];
    await nodes[0]!.sse.disconnect({ connection: id }, { refuseMs: 0 });
    await until(() => clients.filter(({ ended }) => ended).length === 1);
    owner.process.kill('SIGKILL');
    const rest = clients.filter(({ ended }) => !ended);
    await within(LEASE_MS + 1_000, 'The end for everyone', allEnded(rest));
    expect(rest.map(({ events }) => events.at(-1))).toMatchObject(rest.map(() => LOST));
  });

  it('is killed is lost for a reader that attaches later, without any other reader', async () => {
    const { nodes, owner, clients, attach } = await world({ leaseMs: 1_000 });
    for (const client of clients) client.close();
    owner.process.kill('SIGKILL');
    await until(() => nodes.every(({ sse }) => sse.connections().length === 0));
    const late = await attach();
    await allEnded(late);
    expect(late.map(({ events }) => events.at(-1))).toMatchObject([LOST, LOST]);
  });

  it('is suspended for longer than the lease has no further event, and its signal is aborted', async () => {
    const { nodes, owner, clients, attach } = await world({ leaseMs: 1_000 });
    owner.process.kill('SIGSTOP');
    await allEnded(clients);
    const { out, release, handle } = await startHeld(nodes[0]!.streams, 'a');
    out.write('new');
    const readers = await attach();
    owner.process.kill('SIGCONT');
    await until(() => owner.lines.length > 1);
    await until(() => owner.lines.at(-1)!.startsWith('{'));
    expect(owner.lines).toEqual(['started', 'aborted', '{"status":"lost","reason":"lease"}']);
    out.write('newer');
    release();
    await handle.done;
    await allEnded(readers);
    for (const { events } of readers) {
      expect(events.slice(1).map(({ data }) => data)).toEqual(['new', 'newer', '{"status":"done"}']);
    }
    for (const client of clients) expect(isWhole(numbers(client))).toBe(true);
  });

  it('gets SIGTERM is done if it can end within the drain', async () => {
    const { owner, clients } = await world({}, 60, 60_000);
    owner.process.kill('SIGTERM');
    await eventually('The end of the process', owner.end());
    await allEnded(clients);
    for (const client of clients) {
      expect(numbers(client)).toHaveLength(60);
      expect(client.events.at(-1)).toMatchObject({ event: 'sse.end', data: '{"status":"done"}' });
    }
  });

  it('gets SIGTERM, and does not end, is aborted after the drain, and readers on other nodes get the end at once', async () => {
    const { owner, clients } = await world({ leaseMs: 600_000 });
    owner.process.kill('SIGTERM');
    await allEnded(clients);
    // Far sooner than anything but its message could tell them.
    const end = { event: 'sse.end', data: '{"status":"aborted","reason":"shutdown"}' };
    for (const { events } of clients) expect(events.at(-1)).toMatchObject(end);
    await eventually('The end of the process', owner.end());
    expect(owner.lines).toEqual(['started', 'aborted', '{"status":"aborted","reason":"shutdown"}']);
  });
});

describe.each(platforms)('A second start of a live stream on %s', (_, platform) => {
  const twoNodes = async () => {
    const options = { redis: redisUrl(), prefix: randomPrefix() };
    return [await startNode(platform, options), await startNode(platform, options)] as const;
  };

  it('at the same moment runs one producer, and rejects the other start', async () => {
    const nodes = await twoNodes();
    for (let n = 0; n < 20; n++) {
      const starts = nodes.map(({ streams }) => startHeld(streams, `s${n}`));
      const outcomes = await Promise.allSettled(starts);
      const started = outcomes.filter(({ status }) => status === 'fulfilled');
      const [rejected] = outcomes.filter((outcome) => outcome.status === 'rejected');
      expect(started).toHaveLength(1);
      const code = 'SSE_STREAM_LIVE';
      expect(rejected!.reason).toMatchObject({
        code,
        status: 409,
        message: expect.stringContaining(`"s${n}"`),
      });
    }
    for (const { app } of nodes) await app.close();
  });

  it('attaches if it is told to, without a call of its producer', async () => {
    const [one, other] = await twoNodes();
    const { out, release, handle } = await startHeld(one.streams, 'a');
    out.write('first');
    let isCalled = false;
    const second = await other.streams.start('a', () => (isCalled = true), { attach: true });
    expect([second.generation, second.isOwn, handle.isOwn]).toEqual([handle.generation, false, true]);
    const { done } = second;
    release();
    expect([await done, isCalled]).toEqual([{ status: 'done' }, false]);
  });

  it('replaces it if it is told to: the first ends before the first event of the second', async () => {
    const [one, other] = await twoNodes();
    const first = await startHeld(one.streams, 'a', { leaseMs: 600_000 });
    first.out.write('old');
    const readers = [await connect(`${one.url}/streams/a`), await connect(`${other.url}/streams/a`)];
    await until(() => readers.every(({ events }) => events.length === 2));
    const second = await startHeld(other.streams, 'a', { replace: true });
    second.out.write('new');
    await allEnded(readers);
    for (const { events } of readers) {
      const end = '{"status":"aborted","reason":"replaced"}';
      expect(events.map(({ data }) => data)).toEqual(['{"channel":"a"}', 'old', end]);
    }
    expect(await eventually('The end of the first', first.handle.done)).toEqual({
      status: 'aborted',
      reason: 'replaced',
    });
    expect([first.out.signal.aborted, first.out.write('late')]).toEqual([true, false]);
    expect(second.handle.generation > first.handle.generation).toBe(true);
    second.release();
    const after = await connect(`${one.url}/streams/a`, { 'last-event-id': readers[0]!.events[1]!.id! });
    await allEnded([after]);
    expect(after.events.map(({ event, data }) => [event, data])).toEqual([
      ['sse.reset', '{"channel":"a","reason":"lost"}'],
      [undefined, 'new'],
      ['sse.end', '{"status":"done"}'],
    ]);
  });
});
