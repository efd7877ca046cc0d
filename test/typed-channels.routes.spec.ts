import { beforeEach, describe, expect, it } from '@jest/globals';
import { Param, ParseIntPipe } from '@nestjs/common';
import { SseChannel, type SseService, type SseTickets, type SseTypedChannel } from 'nestjs-sse-channels';
import { platforms } from './support/app.js';
import { connect } from './support/client.js';
import { asked, items, news, orders, startTyped, users } from './support/typed-app.js';

describe.each(platforms)('Typed channels on %s', (_, platform) => {
  let sse: SseService;
  let tickets: SseTickets;
  let url: string;
  beforeEach(async () => {
    ({ url, sse, tickets } = await startTyped(platform));
    asked.length = 0;
  });

  /** The channels of the connection that a path opens. */
  async function channelsOf(path: string): Promise<readonly string[]> {
    const client = await connect(`${url}/${path}`);
    expect([path, client.status]).toEqual([path, 200]);
    const { channels } = sse.connections().at(-1)!;
    client.close();
    return channels;
  }
  const statusOf = async (path: string) => {
    const client = await connect(`${url}/${path}`);
    client.close();
    return client.status;
  };
  const named = (...channels: SseTypedChannel[]) => channels.map(({ name }) => name);

  it('take their parameters from the path, by name', async () => {
    const client = await connect(`${url}/orders/7/events`);
    expect((await client.next()).event).toBe('sse.open');
    await sse.publish(orders({ id: 8 }), 'paid', { amount: 1 });
    await sse.publish(orders({ id: 7 }), 'paid', { amount: 5 });
    expect(await client.next()).toMatchObject({ event: 'paid', data: '{"amount":5}' });
    expect(await channelsOf('items/7/a%2Fb')).toEqual(named(items({ id: 7, item: 'a/b' })));
  });

  it.each(['auth0%7C123', 'a+b@c.d', 'a%3Ab', '%F0%9F%98%80', 'M%C3%BCller', '~7C', '..%2F8', '*'])(
    'are those of any text in the path: %s',
    async (text) => {
      const id = decodeURIComponent(text);
      expect(await channelsOf(`open/${text}`)).toEqual(named(orders({ id })));
    },
  );

  it('have the parameters that the pipes of the route make', async () => {
    expect(await channelsOf('piped/007')).toEqual(['order:7']);
    expect(await statusOf('piped/seven')).toBe(400);
    expect(await channelsOf('lower/ABC/DEF')).toEqual(['order:abc/item:def']);
    expect(await channelsOf('whole/%20ABC%20')).toEqual(['order:ABC']);
    expect(await channelsOf('changed/7')).toEqual(['order:7']);
    expect(await channelsOf('wrapped/007')).toEqual(['order:7']);
    expect(await statusOf('renamed/7')).toBe(400);
    // No pipe of the route makes a text of it.
    expect(await statusOf('loaded/7')).toBe(400);
  });

  it('give an authorizer their decoded parameters', async () => {
    expect(await channelsOf('orders/auth0%7C1/events')).toEqual(['order:auth0~7C1']);
    expect(asked).toEqual([{ id: 'auth0|1', name: 'order:auth0~7C1', isOrder: true }]);
    expect(sse.connections().map(({ user }) => user)).toEqual(['nobody']);
    expect(await statusOf('orders/eve/events')).toBe(403);
    expect(await statusOf('guarded/eve')).toBe(403);
    const guarded = await connect(`${url}/guarded/a%7Cb`);
    await sse.publish(orders({ id: 'a|b' }), 'paid', { amount: 5 });
    expect(await guarded.next()).toMatchObject({ data: '{"amount":5}' });
    expect(asked.at(-1)).toMatchObject({ id: 'a|b', isOrder: true });
  });

  it('are several on one route', async () => {
    expect(await channelsOf('several/7/a%7Cb')).toEqual(
      named(orders({ id: 7 }), users({ user: 'a|b' }), news()),
    );
    expect(await channelsOf('all/7/ann')).toEqual(['order:7', 'user:ann']);
    expect(asked).toEqual([
      [
        [{ id: '7' }, { user: 'ann' }],
        ['order:7', 'user:ann'],
      ],
    ]);
    expect(await statusOf('all/7/eve')).toBe(403);
  });

  it('are bounded by a rule', async () => {
    expect(await channelsOf('listed/7')).toEqual(['order:7']);
    expect(await statusOf('listed/8')).toBe(403);
    const ticket = await tickets.issue({ channels: orders({ id: 'a|b' }), user: 'ann' });
    expect(await statusOf('tickets/7')).toBe(401);
    expect(await statusOf(`tickets/a%7Cb?ticket=${ticket}`)).toBe(200);
  });

  it('are returned by handlers, also beside others', async () => {
    expect(await channelsOf('returned/a%7Cb')).toEqual(['order:a~7Cb', 'news']);
  });

  it('are refused with a status where they cannot be named', async () => {
    // Fastify itself refuses long ones.
    expect([400, 414]).toContain(await statusOf(`open/${'x'.repeat(200)}`));
    expect(await statusOf('wrong/7')).toBe(500);
    expect(await statusOf('with-result/7')).toBe(400);
    expect(sse.stats().connections).toBe(0);
  });

  it('are refused where the handler, and so its pipes, was not called', async () => {
    expect(await statusOf('skipped/7')).toBe(500);
  });

  it('are refused where two definitions of the route name the same one', async () => {
    expect(await channelsOf('over/item/7')).toEqual(['item:7', 'order:7']);
    expect(await statusOf('over/order/7')).toBe(400);
  });

  it('are refused where a guard has granted others, before the pipes', async () => {
    expect(await channelsOf('twice-guarded/abc')).toEqual(['order:abc']);
    expect(await statusOf('twice-guarded/ABC')).toBe(403);
  });

  it('are refused where a handler has a parameter twice', () => {
    const define = (decorate: (prototype: object) => void) => () => {
      class Twice {
        events() {}
      }
      decorate(Twice.prototype);
      const descriptor = Object.getOwnPropertyDescriptor(Twice.prototype, 'events')!;
      SseChannel('a/:id', { channel: orders })(Twice.prototype, 'events', descriptor as never);
    };
    const id = Param('id');
    expect(define((prototype) => id(prototype, 'events', 0))).not.toThrow();
    for (const other of [Param('id', ParseIntPipe), Param()]) {
      const both = define((prototype) => (id(prototype, 'events', 0), other(prototype, 'events', 1)));
      expect(both).toThrow(expect.objectContaining({ code: 'SSE_OPTIONS' }));
    }
  });

  it('leave the metadata of the handler as it is', async () => {
    const answer = await fetch(`${url}/metadata`);
    expect(await answer.json()).toEqual(['metadata', 'before', 'after']);
  });
});
