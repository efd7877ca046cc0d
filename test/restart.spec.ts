import type { Server } from 'node:http';
import { connect as connectHttp2 } from 'node:http2';
import type { AddressInfo } from 'node:net';
import {
  type BeforeApplicationShutdown,
  Controller,
  Get,
  Global,
  type INestApplication,
  Injectable,
  Module,
  type OnModuleDestroy,
  Sse,
} from '@nestjs/common';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { Test } from '@nestjs/testing';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { SseChannel, SseModule, type SseModuleOptions, SseService } from 'nestjs-sse-channels';
import { resolveOptions } from '../src/options/resolve-options.js';
import { type Platform, platforms, startApp, terminate } from './support/app.js';
import { connect } from './support/client.js';
import { freePort } from './support/port.js';
import { Sample } from './support/sample.js';
import { eventually, until } from './support/until.js';

/** Ends the request that is in flight. */
let finish: ((text: string) => void) | undefined;

@Controller()
class ChannelController {
  constructor(private readonly sse: SseService) {}

  @SseChannel('channel')
  channel() {
    return 'sse';
  }

  @Sse('sse')
  messages() {
    return this.sse.messages();
  }

  @Get('slow')
  slow() {
    return new Promise<string>((resolve) => (finish = resolve));
  }

  @Get('plain')
  plain() {
    return 'plain';
  }
}

const METADATA = { imports: [SseModule.forRoot()], controllers: [ChannelController] };

const portOf = (app: INestApplication) => ((app.getHttpServer() as Server).address() as AddressInfo).port;

describe.each(platforms)('A restart on %s', (_, platform) => {
  const apps: INestApplication[] = [];
  afterEach(async () => {
    finish = undefined;
    await Promise.all(apps.splice(0).map((app) => app.close()));
  });

  it.each([
    ['no', []],
    ['open', ['channel', 'sse', 'channel']],
  ])('in the same process can use the port at once, with %s connections', async (_which, paths) => {
    const { app, url } = await startApp(platform, METADATA);
    const clients = await Promise.all(paths.map((path) => connect(`${url}/${path}`)));
    await until(() => app.get(SseService).stats().connections === paths.length);
    // As Nest's recipe for hot reload: the next application starts while this one closes.
    const closing = app.close();
    const next = (await Test.createTestingModule(METADATA).compile()).createNestApplication(platform());
    apps.push(next);
    await next.listen(portOfUrl(url), '127.0.0.1');
    await eventually('app.close()', closing);
    await until(() => clients.every(({ ended }) => ended));
    const client = await connect(`${url}/channel`);
    expect(await client.next()).toMatchObject({ event: 'sse.open' });
  });

  it('completes requests in flight when it closes', async () => {
    const { app, url } = await startApp(platform, METADATA);
    const client = await connect(`${url}/channel`);
    await client.next();
    const answer = connect(`${url}/slow`);
    await until(() => finish !== undefined);
    const closing = app.close();
    await until(() => client.ended);
    finish!('served');
    expect(await (await answer).body()).toBe('served');
    await eventually('app.close()', closing);
  });

  it('does not wait if there are no connections, even with a signal in production', async () => {
    const { app } = await startApp(platform, {
      imports: [SseModule.forRoot({ drainMs: 600_000 })],
      controllers: [ChannelController],
    });
    await eventually('app.close()', terminate(app));
  });
});

let disconnected: Promise<void>;
let disconnect: () => void;

/** A slow shutdown hook that Nest waits for, such as Prisma's client in Nest's recipe. */
@Injectable()
class Database implements OnModuleDestroy, BeforeApplicationShutdown {
  onModuleDestroy() {
    return disconnected;
  }

  beforeApplicationShutdown() {
    return disconnected;
  }
}

@Global()
@Module({ providers: [Database] })
class DatabaseModule {}

describe.each(platforms)('A restart with slow shutdown hooks of other modules on %s', (_, platform) => {
  const before = process.env.NODE_ENV;
  beforeEach(() => {
    disconnected = new Promise((resolve) => (disconnect = resolve));
  });
  afterEach(() => {
    process.env.NODE_ENV = before;
    disconnect();
  });

  const start = (options: SseModuleOptions & { isGlobal?: boolean }) =>
    startApp(platform, {
      imports: [SseModule.forRoot(options), DatabaseModule],
      controllers: [ChannelController],
      providers: [Database],
    });

  it.each([{}, { isGlobal: false }])('in the same process can use the port at once: %j', async (options) => {
    const { app, url } = await start(options);
    const client = await connect(`${url}/channel`);
    await client.next();
    const closing = app.close();
    const next = (await Test.createTestingModule(METADATA).compile()).createNestApplication(platform());
    await next.listen(portOfUrl(url), '127.0.0.1');
    expect(client.ended).toBe(false);
    disconnect();
    await eventually('app.close()', closing);
    await until(() => client.ended);
    await next.close();
  });

  it.each([
    ['production', 0],
    ['test', 10],
  ])('in %s with drainMs %d listens until the hooks are done', async (environment, drainMs) => {
    process.env.NODE_ENV = environment;
    const { app, url } = await start({ drainMs });
    const closing = terminate(app);
    expect(await (await connect(`${url}/plain`)).body()).toBe('plain');
    disconnect();
    await eventually('app.close()', closing);
  });
});

const portOfUrl = (url: string) => Number(new URL(url).port);

describe('drainMs', () => {
  const before = process.env.NODE_ENV;
  afterEach(() => {
    process.env.NODE_ENV = before;
  });

  it('is 5 s in production and 0 otherwise, by default', () => {
    for (const [environment, drainMs] of [
      ['production', 5_000],
      ['development', 0],
      ['test', 0],
    ] as const) {
      process.env.NODE_ENV = environment;
      expect(resolveOptions({}).drainMs).toBe(drainMs);
      expect(resolveOptions({ drainMs: 7 }).drainMs).toBe(7);
    }
    delete process.env.NODE_ENV;
    expect(resolveOptions({}).drainMs).toBe(0);
  });
});

describe('A process that gets a signal while a page is open', () => {
  it('frees its port for the next process, which starts at the same time, outside of production', async () => {
    const port = await freePort();
    const first = await Sample.start({ PORT: `${port}`, NODE_ENV: 'development' });
    const client = await connect(`http://127.0.0.1:${port}/channel`);
    await client.next();
    const ended = first.signal('SIGTERM');
    const second = await Sample.start({ PORT: `${port}`, NODE_ENV: 'development' });
    expect(await ended).toMatchObject({ code: 0 });
    const again = await connect(`${second.url}/channel`);
    expect(await again.next()).toMatchObject({ event: 'sse.open' });
  });
});

describe('HTTP/2 sessions', () => {
  it.each([
    ['idle', '/plain', 0],
    ['with a connection', '/channel', 1],
  ])('close with the application: %s', async (_which, path, connections) => {
    const platform: Platform = () => new FastifyAdapter({ http2: true });
    const { app } = await startApp(platform, METADATA);
    const session = connectHttp2(`http://127.0.0.1:${portOf(app)}`);
    session.on('error', () => undefined);
    let text = '';
    const stream = session.request({ ':path': path }).setEncoding('utf8');
    stream.on('data', (chunk: string) => (text += chunk));
    await until(() => /plain|sse\.open/.test(text));
    await until(() => app.get(SseService).stats().connections === connections);
    await eventually('app.close()', app.close());
    await until(() => session.destroyed);
  });
});
