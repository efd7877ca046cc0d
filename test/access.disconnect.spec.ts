import { beforeEach, describe, expect, it } from '@jest/globals';
import type { SseService } from 'nestjs-sse-channels';
import { platforms } from './support/app.js';
import { connect } from './support/client.js';
import { randomPrefix, redisUrl } from './support/redis.js';
import { cookie, isSent, type Rights, startRights } from './support/rights-app.js';
import { until } from './support/until.js';

describe.each(platforms)('disconnect() on %s', (_, platform) => {
  let rights: Rights;
  let sse: SseService;
  let url: string;

  beforeEach(async () => {
    ({ rights, sse, url } = await startRights(platform));
  });

  const users = ['ann', 'bob'];
  const open = async (path: string, at = url) => {
    for (const user of users) rights.all.add(`${user} *`);
    const [ann, bob] = await Promise.all(users.map((user) => connect(`${at}/${path}`, cookie(user))));
    return { ann: ann!, bob: bob! };
  };

  it.each(['asked?channel=a', 'guarded?channel=a'])(
    'closes the connections of a user (/%s)',
    async (path) => {
      const { ann, bob } = await open(path);
      await until(() => sse.connections().length === 2);
      await sse.disconnect({ user: 'ann' });
      await until(() => ann.ended);
      await sse.publish('for bob', { channel: 'a' });
      await until(isSent(bob, 'for bob'));
      const again = await connect(`${url}/${path}`, cookie('ann'));
      await until(() => again.ended);
      expect([again.status, again.events]).toEqual([200, []]);
    },
  );

  it('tells the clients to reconnect later', async () => {
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

  it('lets a user reconnect after `refuseMs`, and earlier with a newer credential', async () => {
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
    // A decision from the same millisecond as the disconnection does not count.
    const heard = Date.now();
    await until(() => Date.now() > heard);
    const bob = await connect(`${url}/asked?channel=a`, cookie('bob'));
    expect((await bob.next()).event).toBe('sse.open');
  });

  it('closes the connections of a channel, of a user in a channel, and one connection', async () => {
    const [first, second] = [await open('asked?channel=a'), await open('asked?channel=b&channel=c')];
    await until(() => sse.connections().length === 4);
    await sse.disconnect({ channel: 'b', user: 'ann' });
    await until(() => second.ann.ended);
    const { id } = sse.connections().find(({ user, channels }) => user === 'bob' && channels.includes('a'))!;
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

  it('closes a connection whose handler names the user', async () => {
    const client = await connect(`${url}/trusted/ann`);
    await until(() => sse.connections().length === 1);
    await sse.disconnect({ user: 'ann' });
    await until(() => client.ended);
  });

  it('closes connections on every node, and refuses the user on a node that had no connections yet', async () => {
    const options = { redis: redisUrl(), prefix: randomPrefix() };
    const nodes = [
      await startRights(platform, options),
      await startRights(platform, options),
      await startRights(platform, options),
    ];
    for (const {
      rights: { all },
    } of nodes)
      all.add('ann *').add('bob *');
    const clients = await Promise.all(
      nodes
        .slice(0, 2)
        .flatMap((node) => users.map((user) => connect(`${node.url}/asked?channel=a`, cookie(user)))),
    );
    await Promise.all(clients.map((client) => client.next()));
    await nodes[2]!.sse.disconnect({ user: 'ann' });
    await until(() => clients[0]!.ended && clients[2]!.ended);
    const again = await connect(`${nodes[2]!.url}/asked?channel=a`, cookie('ann'));
    await until(() => again.ended);
    await nodes[2]!.sse.publish('still there', { channel: 'a' });
    for (const bob of [clients[1]!, clients[3]!]) await until(isSent(bob, 'still there'));
  });

  it.each<[object, RegExp]>([
    [{}, /`user`, `session`, `channel` or `connection`/],
    [{ user: {} }, /`user`.*a string or a number/],
    [{ channel: 'a b' }, /`channel`/],
    [{ connection: 5 }, /`connection`/],
  ])('rejects %j', async (target, message) => {
    await expect(sse.disconnect(target)).rejects.toMatchObject({
      code: 'SSE_INPUT',
      message: expect.stringMatching(message),
    });
  });

  it.each([-1, 0.5, 3_600_001, NaN, '5'])('rejects a refuseMs of %s', async (refuseMs) => {
    await expect(sse.disconnect({ user: 'ann' }, { refuseMs: refuseMs as number })).rejects.toMatchObject({
      code: 'SSE_INPUT',
    });
  });
});
