import { Controller, Param, ParseIntPipe } from '@nestjs/common';
import { describe, expect, it } from '@jest/globals';
import { SseChannel, SseModule, SseService } from 'nestjs-sse-channels';
import { filter, firstValueFrom, tap } from 'rxjs';
import { connect, type SseTypedSource } from '../src/client/index.js';
import { fromSse } from '../src/client/rxjs.js';
import { platforms, startApp } from './support/app.js';
import { randomPrefix, redisUrl } from './support/redis.js';
import { Relay } from './support/relay.js';
import { news, orders } from './support/typed/orders.js';
import { eventually, until } from './support/until.js';

@Controller()
class OrdersController {
  @SseChannel('orders/:id/events', { channel: orders })
  events(@Param('id', ParseIntPipe) _id: number) {}

  @SseChannel('orders/:id/feed', { channel: [orders, news] })
  feed(@Param('id') _id: string) {}
}

describe.each(platforms)('A typed client of a route with definitions: %s', (_, platform) => {
  const start = async () => {
    const imports = [SseModule.forRoot({ redis: redisUrl(), prefix: randomPrefix() })];
    const { app, url } = await startApp(platform, { imports, controllers: [OrdersController] });
    const sse = app.get(SseService);
    const relay = await Relay.start(url);
    return { sse, relay, url: `${relay.url}/orders/7/events`, feed: `${relay.url}/orders/7/feed` };
  };
  const at = new Date('2026-03-04T05:06:07Z');
  const pay = (sse: SseService, amount: number) => sse.publish(orders({ id: 7 }), 'paid', { amount, at });

  it('gets the data as JSON has it, a date as its text, in listeners', async () => {
    const { sse, relay, url } = await start();
    const source = connect<typeof orders>(url);
    const seen: string[] = [];
    source
      .on('paid', ({ amount, at: time }, { type }) => seen.push(`${type} ${amount} ${time.slice(0, 10)}`))
      .on('shipped', (time) => seen.push(time.toUpperCase()))
      .on('status', ({ status }) => seen.push(status === 'sent' ? 'is sent' : status))
      .on('message', ({ note, ...others }) => seen.push(note.concat(JSON.stringify(others))))
      .once('sse.open', ({ channel }) => seen.push(String(channel)))
      .on('sse.state', (state) => seen.push(state === 'open' ? 'online' : state));
    await until(() => seen.length === 2);
    await pay(sse, 5);
    await sse.publish(orders({ id: 8 }), 'status', { status: 'open' });
    await sse.publish(orders({ id: 7 }), 'shipped', '2026-05-06');
    await sse.publish(orders({ id: 7 }), 'status', { status: 'sent' });
    await sse.publish(orders({ id: 7 }), '', { note: 'thanks', draft: undefined });
    await until(() => seen.length >= 6);
    expect(seen).toEqual([
      'online',
      'order:7',
      'paid 5 2026-03-04',
      '2026-05-06T00:00:00.000Z',
      'is sent',
      'thanks{}',
    ]);
    source.close();
    relay.close();
  });

  it('distinguishes the events of several definitions by type, in a loop', async () => {
    const { sse, relay, feed } = await start();
    const source: SseTypedSource<typeof orders | typeof news> = connect<typeof orders | typeof news>(feed);
    const seen: string[] = [];
    const read = async () => {
      for await (const event of source) {
        if (event.type === 'sse.open') seen.push([event.data.channel].flat().join(' '));
        else if (event.type === 'status') seen.push(event.data.status);
        else if (event.type === 'paid')
          seen.push('free' in event.data ? `free ${event.data.free}` : event.data.at.slice(0, 4));
        else if (event.type === 'message')
          seen.push(typeof event.data === 'string' ? event.data : event.data.note);
      }
      return seen;
    };
    const reading = read();
    await until(() => seen.length === 1);
    await pay(sse, 5);
    await until(() => seen.length === 2);
    await sse.publish(news(), 'paid', { free: true });
    await until(() => seen.length === 3);
    await sse.publish(news(), 'message', 'extra');
    await until(() => seen.length === 4);
    source.close();
    expect(await reading).toEqual(['order:7 news', '2026', 'free true', 'extra']);
    relay.close();
  });

  it('gets the same union by fromSse()', async () => {
    const { sse, relay, url } = await start();
    const types: string[] = [];
    const paid = fromSse<typeof orders>(url).pipe(
      tap((event) => types.push(event.type === 'sse.open' ? String(event.data.channel) : event.type)),
      filter((event) => event.type === 'paid'),
    );
    const first = firstValueFrom(paid);
    await until(() => types.length === 1);
    await pay(sse, 12);
    const { data, type } = await eventually('The event', first);
    expect(types).toEqual(['order:7', 'paid']);
    expect([type, data.at.replace('T', ' '), data.amount.toFixed(2)]).toEqual([
      'paid',
      '2026-03-04 05:06:07.000Z',
      '12.00',
    ]);
    await until(() => sse.connections().length === 0);
    // After an aborted request, Node's `fetch` opens a connection without one, for which Fastify would wait.
    relay.close();
  });
});
