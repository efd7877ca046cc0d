import { afterEach, describe, expect, it } from '@jest/globals';
import { Controller, Get, Query, Sse } from '@nestjs/common';
import { LastEventId, SseChannel, SseModule, type SseModuleOptions, SseService } from 'nestjs-sse-channels';
import { platforms, startApp, terminate } from './support/app.js';
import { connect, type SseClient } from './support/client.js';
import { Proxy } from './support/proxy.js';
import { startRedis } from './support/redis.js';
import { eventually, until, within } from './support/until.js';

@Controller()
class ChannelController {
  constructor(private readonly sse: SseService) {}

  @Sse('sse')
  messages(@LastEventId() lastEventId?: string) {
    return this.sse.messages('sse', { lastEventId });
  }

  @SseChannel('channel')
  channel() {
    return 'sse';
  }

  @Get('publish')
  publish(@Query('data') data: string) {
    return this.sse.publish(data);
  }
}

describe.each(platforms)('On %s', (_, platform) => {
  const start = async (options: SseModuleOptions) => {
    const { app, url } = await startApp(platform, {
      imports: [SseModule.forRoot(options)],
      controllers: [ChannelController],
    });
    return { app, url, sse: app.get(SseService) };
  };
  const retryOf = ({ text }: SseClient) => Number(/retry: (\d+)\n$/.exec(text)?.[1]);

  it('a signal closes connections spread over drainMs, each with a different reconnection time', async () => {
    const drainMs = 1_500;
    const { app, url, sse } = await start({ drainMs, retryMs: 2_000 });
    const paths = Array.from({ length: 40 }, (_each, n) => (n % 4 === 3 ? 'sse' : 'channel'));
    const clients = await Promise.all(paths.map((path) => connect(`${url}/${path}`)));
    await until(() => sse.stats().connections === clients.length);
    const ends: number[] = [];
    const begin = performance.now();
    const order: number[] = [];
    for (const [n, { response }] of clients.entries()) {
      response.once('close', () => {
        ends.push(performance.now() - begin);
        order.push(n);
      });
    }
    const closing = terminate(app);
    await until(() => ends.length > 5);
    await sse.publish('meanwhile');
    await eventually('app.close()', closing);
    await until(() => ends.length === clients.length);
    // A busy machine may end connections late, and never early.
    for (const [index, end] of ends.entries()) {
      expect(end).toBeGreaterThan((drainMs * index) / clients.length - 1);
    }
    const retries = clients.filter((_each, n) => paths[n] === 'channel').map(retryOf);
    expect(Math.min(...retries)).toBeGreaterThanOrEqual(1_000);
    expect(Math.max(...retries)).toBeLessThanOrEqual(3_000);
    // Some clients reconnect sooner than usual, some later.
    expect(Math.min(...retries)).toBeLessThan(2_000);
    expect(Math.max(...retries)).toBeGreaterThan(2_000);
    expect(new Set(retries).size).toBeGreaterThan(20);
    // With `@Sse`, Nest writes the response.
    expect(clients.filter((_each, n) => paths[n] === 'sse').map(retryOf)).toEqual(Array(10).fill(NaN));
    expect(order).not.toEqual(order.toSorted((a, b) => a - b));
    // Clients that were still connected received events published during the drain.
    const reached = clients.filter(({ text }) => text.includes('meanwhile'));
    expect(reached.length).toBeGreaterThan(0);
    expect(reached.length).toBeLessThanOrEqual(35);
  });

  it('serves requests during the drain, and refuses connections so that an EventSource retries', async () => {
    const { app, url, sse } = await start({ drainMs: 120_000 });
    const open = await Promise.all(Array.from({ length: 10 }, () => connect(`${url}/channel`)));
    expect(sse.stats().draining).toBe(false);
    const closing = terminate(app);
    await until(() => sse.stats().draining);
    const refused = await connect(`${url}/channel`);
    await until(() => refused.ended);
    expect([refused.status, refused.headers['content-type'], refused.events]).toEqual([
      200,
      'text/event-stream; charset=utf-8',
      [],
    ]);
    expect(retryOf(refused)).toBeGreaterThanOrEqual(1_500);
    expect(retryOf(refused)).toBeLessThanOrEqual(4_500);
    const other = await connect(`${url}/sse`);
    await until(() => other.ended);
    expect([other.status, other.events]).toEqual([200, []]);
    expect((await fetch(`${url}/publish?data=x`)).status).toBe(200);
    expect(open.some(({ ended }) => !ended)).toBe(true);
    expect(sse.stats().refused).toBe(2);
    for (const client of open) client.close();
    await closing;
  });

  it('a signal ends an application without connections at once', async () => {
    const { app } = await start({ drainMs: 600_000 });
    await eventually('app.close()', terminate(app));
  });

  it('the drain does not wait for connections that have closed', async () => {
    const { app, url } = await start({ drainMs: 600_000 });
    const clients = await Promise.all(Array.from({ length: 2 }, () => connect(`${url}/channel`)));
    const closing = terminate(app);
    for (const client of clients) client.close();
    await eventually('app.close()', closing);
  });

  it('a connection closes at its age, and its client resumes', async () => {
    const [{ url, sse }, without] = [
      await start({ maxConnectionAgeMs: 1_000 }),
      await start({ history: false }),
    ];
    // Without history a client would miss events, and Nest owns @Sse responses: these connections have no maximum age.
    const others = [await connect(`${without.url}/channel`), await connect(`${url}/sse`)];
    const first = await connect(`${url}/channel`);
    const { id } = await first.next();
    const begin = performance.now();
    await until(() => first.ended);
    expect(performance.now() - begin).toBeGreaterThan(700);
    expect(others.map(({ ended }) => ended)).toEqual([false, false]);
    expect(sse.stats().connections).toBe(1);
    await sse.publish('missed');
    const again = await connect(`${url}/channel`, { 'last-event-id': id! });
    expect(await again.next()).toMatchObject({ data: 'missed' });
  });
});

describe('At shutdown', () => {
  const proxies: Proxy[] = [];
  afterEach(() => {
    for (const proxy of proxies.splice(0)) proxy.close();
  });

  const startBehindProxy = async () => {
    const proxy = await Proxy.start((await startRedis()).port);
    proxies.push(proxy);
    const told: string[] = [];
    const metrics = {
      start: () => () => told.push('the end'),
      publication: (_ms: number, outcome: string) => told.push(outcome),
    };
    const { app } = await startApp(platforms[0][1], {
      imports: [SseModule.forRoot({ redis: proxy.url, metrics })],
    });
    const sse = app.get(SseService);
    await sse.publish('connected');
    return { app, proxy, sse, told };
  };

  it('the application waits for pending publications, which are confirmed', async () => {
    const { app, proxy, sse } = await startBehindProxy();
    proxy.holdDown = true;
    const publishing = sse.publish('the last');
    const closing = app.close();
    setTimeout(() => (proxy.holdDown = false), 300);
    expect(await publishing).toMatch(/^\d+-\d+$/);
    await eventually('app.close()', closing);
    await expect(sse.publish('too late')).rejects.toMatchObject({
      code: 'SSE_UNAVAILABLE',
      message: 'Not published: the application is closing',
      mayBePublished: false,
    });
  });

  it('pending publications are rejected as possibly published after 2 s', async () => {
    const { app, proxy, sse, told } = await startBehindProxy();
    proxy.dropDown = true;
    const rejected = expect(sse.publish('the last')).rejects.toMatchObject({
      code: 'SSE_UNAVAILABLE',
      mayBePublished: true,
    });
    await within(4_000, 'app.close()', app.close());
    await rejected;
    expect(told).toEqual(['published', 'rejected', 'the end']);
  });
});
