import { describe, expect, it } from '@jest/globals';
import { SseModule, SseService } from 'nestjs-sse-channels';
import { platforms, startApp } from './support/app.js';
import { connect } from './support/client.js';
import { randomPrefix, redisUrl } from './support/redis.js';
import { ChannelController } from './support/channel.controller.js';
import { until } from './support/until.js';

const brokers = [
  ['in memory', () => ({})],
  ['on Redis', () => ({ redis: redisUrl(), prefix: randomPrefix() })],
] as const;

describe.each(platforms)('Connections on %s', (_, platform) => {
  describe.each(brokers)('%s', (_broker, options) => {
    const start = async () => {
      const { app, url } = await startApp(platform, {
        imports: [SseModule.forRoot({ ...options(), heartbeatMs: 1_000 })],
        controllers: [ChannelController],
      });
      return { sse: app.get(SseService), url };
    };

    it('delivers events published after the response headers, with type, id and retry', async () => {
      const { sse, url } = await start();
      const client = await connect(`${url}/channel`);
      await client.next();
      const id = await sse.publish({ code: 'ACK' });
      await sse.publish('two\nlines', { type: 'cool', id: 12345, retry: 6000 });
      expect(await client.take(2)).toEqual([
        { id, event: undefined, data: '{"code":"ACK"}' },
        { id: '12345', event: 'cool', data: 'two\nlines' },
      ]);
      expect(client.text).toContain('retry: 6000\n');
    });

    it('begins an @SseChannel connection with sse.open, whose id resumes it', async () => {
      const { url } = await start();
      const first = await connect(`${url}/channel?channel=a`);
      const open = await first.next();
      expect(open).toEqual({
        id: expect.stringMatching(/^\d+-\d+$/),
        event: 'sse.open',
        data: '{"channel":"a"}',
      });
      first.close();
      const second = await connect(`${url}/channel?channel=a`, { 'last-event-id': open.id! });
      const third = await connect(`${url}/channel?channel=a&lastEventId=${open.id}`);
      await until(() => second.comments.length > 0 && third.comments.length > 0);
      expect([...second.events, ...third.events]).toEqual([]);
    });

    it.each(['sse', 'channel'])(
      'sends one sse.reset for an unknown id, and continues (/%s)',
      async (path) => {
        const { sse, url } = await start();
        const client = await connect(`${url}/${path}`, { 'last-event-id': 'never seen' });
        const reset = await client.next();
        const id = await sse.publish('next');
        expect(reset).toMatchObject({ event: 'sse.reset', data: '{"channel":"sse","reason":"unknown"}' });
        expect(await client.next()).toMatchObject({ id, data: 'next' });
      },
    );

    it('resumes after the last event, also by the publisher’s own id', async () => {
      const { sse, url } = await start();
      const before = await connect(`${url}/channel`);
      await before.next();
      await sse.publish('seen', { id: 'my-id' });
      expect(await before.next()).toMatchObject({ id: 'my-id' });
      before.close();
      const after = await connect(`${url}/channel`, { 'last-event-id': 'my-id' });
      const id = await sse.publish('next');
      expect(await after.next()).toMatchObject({ id, data: 'next' });
    });

    it.each(['sse', 'channel'])('keeps channels apart (/%s)', async (path) => {
      const { sse, url } = await start();
      const a = await connect(`${url}/${path}?channel=a`);
      const b = await connect(`${url}/${path}?channel=b`);
      await until(
        () => sse.stats(),
        ({ connections }) => connections === 2,
      );
      if (path === 'channel') await Promise.all([a.next(), b.next()]);
      else await live(url, ['a', 'b']);
      await sse.publish('for a', { channel: 'a' });
      await sse.publish('for b', { channel: 'b' });
      expect(await a.next()).toMatchObject({ data: 'for a' });
      expect(await b.next()).toMatchObject({ data: 'for b' });
      expect([a.events.length, b.events.length]).toEqual(path === 'channel' ? [2, 2] : [1, 1]);
    });

    it('sends several channels with one cursor that resumes each of them', async () => {
      const { sse, url } = await start();
      const client = await connect(`${url}/channel?channel=a&channel=b&channel=c`);
      const open = await client.next();
      expect(open).toMatchObject({ event: 'sse.open', data: '{"channel":["a","b","c"]}' });
      await sse.publish(1, { channel: 'a' });
      await sse.publish(2, { channel: 'b' });
      const events = await client.take(2);
      expect(events.map(({ data }) => data).toSorted()).toEqual(['1', '2']);
      const { id } = events[1]!;
      expect(id).toMatch(/^[A-Za-z0-9._~-]{1,128}$/);
      client.close();
      const other = await connect(`${url}/channel?channel=c&channel=a&channel=d&lastEventId=${id}`);
      await sse.publish(3, { channel: 'd' });
      expect(await other.next()).toMatchObject({ event: undefined, data: '3' });
      const stale = await connect(`${url}/channel?channel=a&channel=d&lastEventId=${id}`);
      await sse.publish(4, { channel: 'a' });
      await until(() => stale.events.some(({ data }) => data === '4'));
      expect(stale.events.filter(({ event }) => event !== 'sse.position')).toHaveLength(1);
    });

    it('sends comments while no events are published', async () => {
      const { url } = await start();
      const [one, two] = await Promise.all([connect(`${url}/channel`), connect(`${url}/sse`)]);
      await until(() => one.comments.length > 1 && two.comments.length > 1);
      expect(two.text).not.toContain('id:');
    });

    it('sends only events that pass the filter, and control events', async () => {
      const { sse, url } = await start();
      const client = await connect(`${url}/even`, { 'last-event-id': 'gone' });
      expect(await client.next()).toMatchObject({ event: 'sse.reset' });
      for (const data of [1, 2, 3, 4]) await sse.publish(data, { channel: 'numbers' });
      expect((await client.take(2)).map(({ data }) => data)).toEqual(['2', '4']);
    });

    it('delivers a transient event live, with the current position, and does not store it', async () => {
      const { sse, url } = await start();
      const client = await connect(`${url}/channel`);
      const { id } = await client.next();
      expect(await sse.publish('typing', { transient: true, type: 'status' })).toBe('');
      expect(await client.next()).toEqual({ id, event: 'status', data: 'typing' });
    });

    it('publishes once per idempotency key and channel', async () => {
      const { sse, url } = await start();
      const client = await connect(`${url}/channel`);
      await client.next();
      const keyed = { idempotencyKey: 'order-1' };
      const ids = [await sse.publish('first', keyed), await sse.publish('again', keyed)];
      const other = await sse.publish('elsewhere', { ...keyed, channel: 'other' });
      await sse.publish('end');
      expect(ids[1]).toBe(ids[0]);
      expect(other).not.toBe(ids[0]);
      expect((await client.take(2)).map(({ data }) => data)).toEqual(['first', 'end']);
    });

    it('writes the same bytes as Nest for the same event', async () => {
      const { sse, url } = await start();
      const [ours, nests] = await Promise.all([connect(`${url}/channel`), connect(`${url}/sse`)]);
      await ours.next();
      await live(url, ['sse']);
      const values = [
        '',
        'a\r\nb\rc\nd\n',
        ' leading',
        'ünï😀\u2028',
        { a: [1, null] },
        [],
        null,
        0,
        false,
        '\ufeff',
      ];
      for (const data of values) await sse.publish(data);
      await sse.publish('last', { type: 'ty pe', id: 'x:y', retry: 0 });
      await ours.take(values.length + 1);
      await nests.take(values.length + 1);
      const events = (text: string) => text.replace(/^(:.*\n\n?|\n)+/gm, '');
      const [opening, ...rest] = ours.text.split(/(?<=\n\n)/);
      expect(opening).toMatch(/^retry: \d{4}\n:heartbeat 1000\nevent: sse\.open\n/);
      expect(events(rest.join(''))).toBe(events(nests.text));
    });

    /** With `@Sse`, Nest sends the response headers before the subscription is live. A live connection to the same channels shows that the hub is live. */
    const live = async (url: string, channels: string[]) => {
      const probe = await connect(`${url}/channel?${channels.map((name) => `channel=${name}`).join('&')}`);
      await probe.next();
      probe.close();
    };
  });
});
