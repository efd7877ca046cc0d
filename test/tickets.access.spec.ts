import { beforeEach, describe, expect, it, jest } from '@jest/globals';
import type { SseModuleOptions, SseTicketOptions } from 'nestjs-sse-channels';
import { platforms } from './support/app.js';
import { watchLog } from './support/log.js';
import { stores } from './support/streams-app.js';
import { startTickets } from './support/tickets-app.js';
import { until } from './support/until.js';

const { failed } = watchLog();

const cases = platforms.flatMap(([name, platform]) =>
  stores.map(([where, options]) => [`${name} ${where}`, platform, options] as const),
);

describe.each(cases)('The connection of a ticket on %s', (_, platform, options) => {
  let node: Awaited<ReturnType<typeof startTickets>>;
  let nodeOptions: SseModuleOptions;

  beforeEach(async () => {
    nodeOptions = { revalidateMs: 1_000, ...options() };
    node = await startTickets(platform, nodeOptions);
  });

  const issue = (given: Partial<SseTicketOptions> = {}) =>
    node.tickets.issue({ route: '/listed', channels: ['a', 'b'], user: 'ann', ...given });
  const PATH = 'listed?channel=a&channel=b';
  /** Later than all dates before. */
  const nextMs = () => {
    const since = Date.now();
    // Nodes know the clock of Redis to a few milliseconds.
    return until(() => Date.now() > since + 100);
  };

  it('stays open when its rule is asked again, until the credential has expired', async () => {
    const reasons: unknown[] = [];
    node.sse.onDisconnect(({ reason }) => reasons.push(reason));
    const asked = jest.spyOn(node.tickets, 'authorizeAll');
    const client = await node.read(PATH, await issue());
    await until(() => asked.mock.calls.length >= 3);
    await node.sse.publish('still open', { channel: 'b' });
    await until(() => client.text.includes('data: still open'));
    expect(reasons).toEqual([]);
    client.close();
    await until(() => reasons.length === 1);
    const short = await node.read(PATH, await issue({ expiresAt: new Date(Date.now() + 2_500) }));
    await until(() => short.ended);
    expect(reasons).toEqual(['client', 'expired']);
    expect(asked.mock.calls.length).toBeGreaterThan(3);
  });

  it.each([{ user: 'ann' }, { session: 's1' }, { user: 'ann', channel: 'a' }])(
    'ends with disconnect(%j), on every node',
    async (target) => {
      const nodes = 'redis' in nodeOptions ? [node, await startTickets(platform, nodeOptions)] : [node];
      const tickets = await Promise.all(nodes.map(() => issue({ session: 's1' })));
      const clients = await Promise.all(nodes.map((each, n) => each.read(PATH, tickets[n]!)));
      await until(() => nodes.every(({ sse }) => sse.connections().length === 1));
      await node.sse.disconnect(target);
      await until(() => clients.every(({ ended }) => ended));
    },
  );

  it.each([{ user: 'ann' }, { session: 's1' }])(
    'does not open if disconnect(%j) came after the ticket was issued, on any node',
    async (target) => {
      const nodes = 'redis' in nodeOptions ? [node, await startTickets(platform, nodeOptions)] : [node];
      const others = { user: 'bob', session: 's2' };
      const old = await Promise.all(nodes.map(() => issue({ session: 's1' })));
      const ofOther = await issue(others);
      await nextMs();
      await node.sse.disconnect(target);
      for (const [n, each] of nodes.entries()) {
        const client = await each.read(PATH, old[n]!);
        await until(() => client.ended);
        expect([client.status, client.events]).toEqual([200, []]);
        // The client retries with the same address.
        expect((await each.read(PATH, old[n]!)).status).toBe(401);
      }
      await nextMs();
      const open = [await node.read(PATH, ofOther), await node.read(PATH, await issue({ session: 's1' }))];
      for (const client of open) expect((await client.next()).event).toBe('sse.open');
    },
  );

  it('does not open if disconnect() of its channel came after the ticket was issued, and refuses for as long', async () => {
    const old = await issue();
    await nextMs();
    await node.sse.disconnect({ channel: 'a' }, { refuseMs: 60_000 });
    await nextMs();
    const [refused, open] = [await node.read(PATH, old), await node.read(PATH, await issue())];
    await until(() => refused.ended);
    expect([refused.status, refused.events]).toEqual([200, []]);
    expect((await open.next()).event).toBe('sse.open');
  });

  it('does not open if the credential is older than the disconnect(), whenever the ticket was issued', async () => {
    const issuedAt = new Date();
    await nextMs();
    await node.sse.disconnect({ user: 'ann' });
    await nextMs();
    const client = await node.read(PATH, await issue({ issuedAt }));
    await until(() => client.ended);
    expect([client.status, client.events]).toEqual([200, []]);
  });

  it('has a log line if the path of its route is wrong, once a minute, and none for any other 401', async () => {
    await node.read(PATH, 'guessed');
    await node.read(PATH, await issue({ channels: 'c' }));
    expect(failed.mock.calls).toEqual([]);
    for (const route of ['/lists', '/wrong']) {
      expect((await node.read(PATH, await issue({ route }))).status).toBe(401);
    }
    const line = 'Refused a ticket for the route "/lists" on the route "/listed"';
    expect(failed.mock.calls).toEqual([[line]]);
  });
});
