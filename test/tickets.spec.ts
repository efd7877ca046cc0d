import { randomUUID } from 'node:crypto';
import { beforeEach, describe, expect, it } from '@jest/globals';
import type { SseModuleOptions, SseTicketOptions } from 'nestjs-sse-channels';
import { connect, type SseClient } from './support/client.js';
import { nestedQueryPlatforms } from './support/rules-app.js';
import { stores } from './support/streams-app.js';
import { GUESSED, startTickets } from './support/tickets-app.js';
import { until } from './support/until.js';

const cases = nestedQueryPlatforms.flatMap(([name, platform]) =>
  stores.map(([where, options]) => [`${name} ${where}`, platform, options] as const),
);

describe.each(cases)('A ticket on %s', (_, platform, options) => {
  let node: Awaited<ReturnType<typeof startTickets>>;
  let nodeOptions: SseModuleOptions;

  beforeEach(async () => {
    nodeOptions = options();
    node = await startTickets(platform, nodeOptions);
  });

  const issue = (given: Partial<SseTicketOptions> = {}) =>
    node.tickets.issue({ route: '/orders/:id/events', channels: 'order:7', ...given });
  const status = async (path: string, ticket: string) => {
    const client = await node.read(path, ticket);
    client.close();
    return client.status;
  };

  it('opens one connection, with its user and the end of its credential', async () => {
    const expiresAt = new Date(Date.now() + 60_000);
    const ticket = await issue({ user: 'ann', session: 's1', expiresAt });
    expect(ticket).toMatch(/^[\w-]{43}$/);
    const client = await node.read('orders/7/events', ticket);
    expect(client.status).toBe(200);
    expect(client.headers['referrer-policy']).toBe('no-referrer');
    expect((await client.next()).event).toBe('sse.open');
    await node.sse.publish('paid', { channel: 'order:7' });
    expect((await client.next()).data).toBe('paid');
    expect(node.sse.connections()).toEqual([
      expect.objectContaining({
        user: 'ann',
        channels: ['order:7'],
        route: '/orders/:id/events',
        expiresAt,
      }),
    ]);
    expect(await status('orders/7/events', ticket)).toBe(401);
    expect(node.sse.connections()).toHaveLength(1);
  });

  it('is taken by any route with this rule if it names none', async () => {
    for (const path of ['orders/7/events', 'listed?channel=order:7', 'guarded?channel=order:7']) {
      const ticket = await node.tickets.issue({ channels: 'order:7' });
      expect([path, await status(path, ticket)]).toEqual([path, 200]);
    }
  });

  it('that is missing, malformed, guessed, used, late, or for something else gets the same 401', async () => {
    const used = await issue();
    await status('orders/7/events', used);
    const late = await issue({ ttlMs: 1 });
    const since = performance.now();
    await until(() => performance.now() - since > 50);
    const twice = await issue();
    const nested = await issue();
    const answers: Record<string, SseClient> = {
      missing: await connect(`${node.url}/orders/7/events`),
      empty: await node.read('orders/7/events', ''),
      malformed: await node.read('orders/7/events', 'a%00'),
      guessed: await node.read('orders/7/events', GUESSED),
      used: await node.read('orders/7/events', used),
      late: await node.read('orders/7/events', late),
      'for another route': await node.read(
        'orders/7/events',
        await issue({ route: '/orders/:order/events' }),
      ),
      'for another channel': await node.read('orders/8/events', await issue()),
      'for fewer channels': await node.read(
        'listed?channel=a&channel=b',
        await issue({ route: '/listed', channels: 'a' }),
      ),
      expired: await node.read('orders/7/events', await issue({ expiresAt: new Date(Date.now() - 1) })),
      'given twice': await node.read(`orders/7/events?ticket=${twice}`, twice),
      nested: await connect(`${node.url}/orders/7/events?ticket[a]=${nested}`),
      'in a list': await connect(`${node.url}/orders/7/events?ticket[]=${nested}`),
    };
    const seen = await Promise.all(
      Object.entries(answers).map(async ([name, client]) => {
        const headers = { ...client.headers, date: undefined };
        return [name, { status: client.status, headers, body: await client.body() }] as const;
      }),
    );
    const [[, first]] = seen as [(typeof seen)[0]];
    expect(first).toMatchObject({
      status: 401,
      headers: { 'referrer-policy': 'no-referrer' },
      body: '{"message":"Unauthorized","statusCode":401}',
    });
    for (const [name, answer] of seen) expect([name, answer]).toEqual([name, first]);
    expect(node.sse.stats()).toMatchObject({ connections: 0, refused: 0 });
    expect(node.sse.connections()).toEqual([]);
  });

  it('for several channels may open some of them, and is used up by that, and by a refusal', async () => {
    const channels = ['a', 'cafe\u0301', 'c'];
    const [first, second, third] = await Promise.all(
      [1, 2, 3].map(() => issue({ route: '/listed', channels })),
    );
    const client = await node.read('listed?channel=caf%C3%A9&channel=a', first!);
    expect(client.status).toBe(200);
    await client.next();
    for (const channel of ['a', 'caf\u00e9']) await node.sse.publish(channel, { channel });
    expect((await client.take(2)).map(({ data }) => data).toSorted()).toEqual(['a', 'caf\u00e9']);
    expect(await status('listed?channel=a', first!)).toBe(401);
    expect(await status('listed?channel=c', second!)).toBe(200);
    expect(await status('listed?channel=a&channel=d', third!)).toBe(401);
    expect(await status('listed?channel=a', third!)).toBe(401);
  });

  it('is not used up by HEAD, as programs send it that only check an address', async () => {
    const ticket = await issue();
    const head = await fetch(`${node.url}/orders/7/events?ticket=${ticket}`, { method: 'HEAD' });
    expect([head.status, await status('orders/7/events', ticket)]).toEqual([401, 200]);
  });

  it('opens one connection if many requests bring it at the same time, to any node', async () => {
    const nodes = 'redis' in nodeOptions ? [node, await startTickets(platform, nodeOptions)] : [node, node];
    const ticket = await issue();
    const clients = await Promise.all(
      Array.from({ length: 50 }, (__, n) => nodes[n % 2]!.read('orders/7/events', ticket)),
    );
    const count = (code: number) => clients.filter((client) => client.status === code).length;
    expect([count(200), count(401)]).toEqual([1, 49]);
    const open = clients.find((client) => client.status === 200)!;
    await open.next();
    await node.sse.publish('paid', { channel: 'order:7' });
    expect((await open.next()).data).toBe('paid');
  });

  it('is taken by a guarded @Sse() route', async () => {
    const ticket = await issue({ route: '/guarded', channels: ['a', 'b'], user: 7 });
    const client = await node.read('guarded?channel=a&channel=b', ticket);
    expect([client.status, client.headers['referrer-policy']]).toEqual([200, 'no-referrer']);
    await until(() => node.sse.connections().length === 1);
    expect(node.sse.connections()).toMatchObject([{ user: '7', channels: ['a', 'b'], route: '/guarded' }]);
    await node.sse.publish('event', { channel: 'b' });
    await until(() => client.text.includes('data: event'));
    const again = await node.read('guarded?channel=a', ticket);
    expect([again.status, again.headers['referrer-policy']]).toEqual([401, 'no-referrer']);
    expect(await status('guarded?channel=a', await issue({ channels: 'a' }))).toBe(401);
  });

  it('reads a stream up to its end, after which nothing is left for another one', async () => {
    const id = randomUUID();
    const streamOf = (route: string) => issue({ route, channels: id });
    const post = async (path: string, route: string, ticket?: string) => {
      const query = `ticket=${ticket ?? (await streamOf(route))}`;
      return fetch(`${node.url}/${path}?${query}`, { method: 'POST' });
    };
    expect((await post(`jobs/${id}`, '/jobs/:id', GUESSED)).status).toBe(401);
    expect(await node.streams.status(id)).toEqual({ state: 'missing' });
    // The rule is asked before the handler starts the stream, and again for its channel.
    const started = await post(`jobs/${id}`, '/jobs/:id');
    expect(started.status).toBe(200);
    expect(await started.text()).toContain('event: sse.end');

    const client = await node.read(`jobs/${id}`, await streamOf('/jobs/:id'));
    const [, ...events] = await client.take(3);
    expect(events.map(({ event, data }) => [event, data])).toEqual([
      [undefined, 'step'],
      ['sse.end', '{"status":"done"}'],
    ]);
    await until(() => client.ended);
    const atEnd = { 'last-event-id': events[1]!.id! };
    const rest = await node.read(`jobs/${id}`, await streamOf('/jobs/:id'), atEnd);
    expect([rest.status, rest.headers['referrer-policy']]).toEqual([204, 'no-referrer']);
    expect(await status(`jobs/${id}`, GUESSED)).toBe(401);

    expect((await post(`jobs/${id}/stop`, '/jobs/:id')).status).toBe(401);
    const stopped = await post(`jobs/${id}/stop`, '/jobs/:id/stop');
    expect([stopped.status, await stopped.text()]).toEqual([201, 'ended']);
  });
});
