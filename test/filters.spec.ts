import { AsyncLocalStorage } from 'node:async_hooks';
import { once } from 'node:events';
import { describe, expect, it } from '@jest/globals';
import { Controller, type MessageEvent, Query, Sse } from '@nestjs/common';
import { EventSource } from 'eventsource';
import {
  filterEvents,
  heartbeat,
  SseChannel,
  type SseEvent,
  SseModule,
  type SseModuleOptions,
  SseService,
} from 'nestjs-sse-channels';
import { filter, type Observable } from 'rxjs';
import { platforms, startApp } from './support/app.js';
import { brokerOptions } from './support/broker-options.js';
import { connect } from './support/client.js';
import { watchLog } from './support/log.js';
import { until } from './support/until.js';

const log = watchLog();
const users = new AsyncLocalStorage<string>();
const isFor = ({ data }: SseEvent) => (data as { user?: string }).user === users.getStore();
/** How often `failing` threw in this test. */
let failures = 0;
const failing = ({ data }: SseEvent) => {
  if (data !== 'bad') return data !== 'hidden';
  failures++;
  throw new Error('no reason that a test would name');
};

@Controller()
class FilterController {
  constructor(private readonly sse: SseService) {}

  @SseChannel('failing')
  failing() {
    return { channel: 'sse', filter: failing };
  }

  @SseChannel('merged')
  merged() {
    return { channel: ['sse', 'other'], filter: failing };
  }

  @SseChannel('async')
  async() {
    return { channel: 'sse', filter: (async () => false) as unknown as () => boolean };
  }

  @SseChannel('mine')
  mine() {
    return { channel: 'sse', filter: isFor };
  }

  @SseChannel('none')
  none() {
    return { channel: 'sse', filter: () => false };
  }

  @Sse('mine-by-rxjs')
  mineByRxjs(): Observable<MessageEvent> {
    return this.sse.messages().pipe(filter(isFor), heartbeat());
  }

  @Sse('none-by-rxjs')
  noneByRxjs(@Query('every') every: string, @Query('age') age: string): Observable<MessageEvent> {
    const expiresAt = new Date(Date.now() + Number(age));
    return this.sse.messages('sse', { expiresAt }).pipe(
      filterEvents(() => false, Number(every)),
      heartbeat(),
    );
  }
}

describe.each(platforms)('A filter on %s', (_, platform) => {
  describe.each(brokerOptions)('%s', (_broker, options) => {
    const start = async (more: SseModuleOptions = {}) => {
      failures = 0;
      const { app, url } = await startApp(
        platform,
        {
          imports: [SseModule.forRoot({ ...options(), retryMs: 100, ...more })],
          controllers: [FilterController],
        },
        (each) =>
          each.use((request: { url: string }, _response: unknown, next: () => void) => {
            users.run(new URL(request.url, 'http://x').searchParams.get('user') ?? 'nobody', next);
          }),
      );
      return { sse: app.get(SseService), url };
    };

    it.each(['failing', 'merged'])(
      'that throws on an event withholds only that event, after one reconnection (/%s)',
      async (path) => {
        const { sse, url } = await start();
        const source = new EventSource(`${url}/${path}`);
        const events: unknown[] = [];
        let opened = 0;
        source.addEventListener('message', ({ data }) => events.push(data));
        source.addEventListener('sse.reset', ({ data }) => events.push(JSON.parse(data)));
        source.addEventListener('open', () => opened++);
        await once(source as never, 'sse.open');
        for (const data of ['a', 'bad', 'b', 'c']) await sse.publish(data);
        await until(() => events.length === 4);
        source.close();
        expect(events).toEqual(['a', { channel: 'sse', reason: 'failed' }, 'b', 'c']);
        expect([opened, failures]).toEqual([2, 2]);
        expect(log.failed).toHaveBeenCalledTimes(2);
        expect(sse.stats().resets.failed).toBe(1);
      },
    );

    it('that returns a promise lets no event pass', async () => {
      const { sse, url } = await start();
      const client = await connect(`${url}/async`);
      const { id } = await client.next();
      await sse.publish('secret');
      await until(() => client.ended);
      const back = await connect(`${url}/async`, { 'last-event-id': id! });
      expect(await back.next()).toMatchObject({
        event: 'sse.reset',
        data: expect.stringContaining('failed'),
      });
      expect(client.text + back.text).not.toContain('secret');
      expect(String(log.failed.mock.calls)).toContain(
        'Expected `filter` to return true or false, got a Promise',
      );
    });

    it.each(['mine', 'mine-by-rxjs'])('runs in the context of its own request (/%s)', async (path) => {
      const { sse, url } = await start();
      const clients = await Promise.all(['ann', 'bob'].map((user) => connect(`${url}/${path}?user=${user}`)));
      await until(() => sse.stats().connections === 2);
      if (path === 'mine') for (const client of clients) await client.next();
      else {
        // A connection of Nest sends nothing when it is live.
        const live = await connect(`${url}/failing`);
        await live.next();
      }
      for (const user of ['bob', 'ann', 'nobody', 'bob', 'ann']) {
        await users.run('nobody', () => sse.publish({ user }));
      }
      const both = await Promise.all(clients.map((client) => client.take(2)));
      expect(both.map((events) => events.map(({ data }) => data))).toEqual([
        ['{"user":"ann"}', '{"user":"ann"}'],
        ['{"user":"bob"}', '{"user":"bob"}'],
      ]);
    });

    it('that drops events sends the position with the next heartbeat', async () => {
      const { sse, url } = await start({ heartbeatMs: 1_000 });
      const client = await connect(`${url}/failing`);
      await client.next();
      let last = '';
      for (let n = 0; n < 3; n++) last = await sse.publish('hidden');
      expect(await client.next()).toEqual({ id: last, event: 'sse.position', data: '{"channel":"sse"}' });
      await sse.publish('hidden');
      await sse.publish('a');
      expect(await client.next()).toMatchObject({ data: 'a' });
      const heartbeats = client.comments.length;
      await until(() => client.comments.length > heartbeats + 1);
      expect(client.events.length).toBe(3);
    });

    it('that drops more events than the history stores lets its clients reconnect without a reset', async () => {
      const { sse, url } = await start({ maxConnectionAgeMs: 2_000, history: { maxEvents: 1 } });
      const client = await connect(`${url}/none`);
      await client.next();
      const ids = await Promise.all(Array.from({ length: 300 }, (__, n) => sse.publish(n)));
      const last = ids.at(-1)!;
      await until(() => client.ended);
      expect(client.events.at(-1)).toMatchObject({ id: last, event: 'sse.position' });
      const back = await connect(`${url}/none`, { 'last-event-id': last });
      await until(() => back.ended);
      expect(back.events).toEqual([]);
    });

    it.each([
      ['periodically', 'every=1000&age=3600000'],
      ['when the connection ends', 'every=3600000&age=3000'],
    ])('by filterEvents() sends the position %s', async (_when, query) => {
      const { sse, url } = await start();
      const client = await connect(`${url}/none-by-rxjs?${query}`);
      // A connection of Nest sends nothing when it is live.
      const live = await connect(`${url}/failing`);
      await live.next();
      const id = await sse.publish('kept back');
      expect(await client.next()).toEqual({ id, event: 'sse.position', data: '{"channel":"sse"}' });
    });
  });
});
