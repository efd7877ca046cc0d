import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import {
  type CallHandler,
  Controller,
  type ExecutionContext,
  ForbiddenException,
  Get,
  type INestApplication,
  Param,
  ParseIntPipe,
  Sse,
} from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { afterEach, describe, expect, it } from '@jest/globals';
import { transformSync } from '@swc/core';
import { EventSource } from 'eventsource';
import { SseChannel, SseModule, SseService } from 'nestjs-sse-channels';
import { finalize, tap } from 'rxjs';
import { platforms, startApp } from './support/app.js';
import { connect } from './support/client.js';
import { timed, timeResponses } from './support/observed.js';
import { until } from './support/until.js';

const EVENT_SOURCE = { accept: 'text/event-stream' };
const recipe = readFileSync('test/support/observed.ts', 'utf8');
const docs = readFileSync('docs/observability.md', 'utf8');

it('has the recipes of the docs', () => {
  expect(docs).toContain(`\`\`\`ts\n${recipe}\`\`\``);
  const [span] = /^tracer\.startActiveSpan\(.*$/m.exec(docs)!;
  expect(readFileSync('test/support/traced.js', 'utf8')).toContain(span);
});

interface Span {
  name: string;
  path?: string;
  ms: number;
  hasParent: boolean;
}

/** An application with OpenTelemetry in a separate process, because instrumentations only affect modules that are loaded later. */
class Traced {
  static readonly running = new Set<ChildProcess>();
  #lines: string[] = [];

  private constructor(process: ChildProcess) {
    let output = '';
    process.stdout!.on('data', (chunk: Buffer) => {
      output += chunk.toString();
      this.#lines = output.split('\n').slice(0, -1);
    });
    Traced.running.add(process);
  }

  static async start(instrumentation: string) {
    const { code } = transformSync(recipe, { jsc: { parser: { syntax: 'typescript' }, target: 'es2022' } });
    const program = `
      import { HttpInstrumentation } from '@opentelemetry/instrumentation-http';
      ${code}
      ${instrumentation}
      await import('./test/support/traced.js');
    `;
    const traced = new Traced(
      spawn('node', ['--input-type=module', '--eval', program], { stdio: ['ignore', 'pipe', 'inherit'] }),
    );
    await until(() => traced.#lines.length > 0);
    const [express, fastify] = JSON.parse(traced.#lines[0]!) as [number, number];
    const urls = { Express: `http://127.0.0.1:${express}`, Fastify: `http://127.0.0.1:${fastify}` };
    return { traced, urls };
  }

  get spans(): Span[] {
    return this.#lines.slice(1).map((line) => JSON.parse(line) as Span);
  }
}

afterEach(async () => {
  const exits = [...Traced.running].map(async (process) => {
    const exited = once(process, 'exit');
    process.kill('SIGKILL');
    await exited;
  });
  Traced.running.clear();
  await Promise.all(exits);
});

describe('OpenTelemetry’s HTTP instrumentation', () => {
  it('creates one span per connection by default, as long as the connection', async () => {
    const { traced, urls } = await Traced.start('new HttpInstrumentation();');
    for (const [n, url] of Object.values(urls).entries()) {
      for (const path of [`/orders/${n}/events`, `/prices`]) {
        const before = traced.spans.length;
        const client = await connect(url + path, EVENT_SOURCE);
        const opened = performance.now();
        await fetch(`${url}/orders/7`);
        await until(() => traced.spans.length === before + 1);
        const lasted = performance.now() - opened;
        client.close();
        await until(() => traced.spans.length === before + 2);
        const [request, span] = traced.spans.slice(before);
        expect([request!.path, span!.path]).toEqual(['/orders/7', path]);
        expect(span!.ms).toBeGreaterThanOrEqual(lasted);
      }
    }
  });

  it('creates none with the recipe, by the Accept of an EventSource or by the path, and still traces other requests', async () => {
    const [instrumentation] = /^new HttpInstrumentation.*$/m.exec(docs)!;
    const { traced, urls } = await Traced.start(instrumentation);
    for (const url of Object.values(urls)) {
      const before = traced.spans.length;
      const sources = ['/orders/7/events', '/prices'].map((path) => new EventSource(url + path));
      const other = await connect(`${url}/orders/7/events?x=1`);
      const connections = async () =>
        ((await (await fetch(`${url}/orders/7`)).json()) as { connections: number }).connections;
      await until(connections, (count) => count === 3);
      await fetch(`${url}/orders/7/status`, { method: 'POST' });
      for (const client of [...sources, other]) client.close();
      await until(connections, (count) => count === 0);
      await fetch(`${url}/orders/8`);
      await until(() => traced.spans.at(-1)?.path === '/orders/8');
      const spans = traced.spans.slice(before);
      const paths = new Set(spans.map(({ path }) => path));
      expect(paths).toEqual(new Set(['/orders/7', '/orders/7/status', '/orders/8', undefined]));
      expect(spans.filter(({ path }) => path === undefined)).toMatchObject([
        { name: 'publish', hasParent: true },
      ]);
    }
  });
});

@Controller()
class OrdersController {
  constructor(private readonly sse: SseService) {}

  @SseChannel('orders/:id/events')
  events(@Param('id', ParseIntPipe) id: number) {
    if (id === 403) throw new ForbiddenException();
    return `order:${id}`;
  }

  @Sse('prices')
  prices() {
    return this.sse.messages('prices');
  }

  @Get('orders/:id')
  show() {
    return this.sse.stats();
  }
}

const metadata = { imports: [SseModule.forRoot()], controllers: [OrdersController] };

describe.each(platforms)('On %s', (name, platform) => {
  const measure = (app: INestApplication, observe: (ms: number) => void) =>
    name === 'Express' ? app.use(timed(observe)) : timeResponses(app as NestFastifyApplication, observe);

  it('the durations of requests exclude connections, and include refused requests', async () => {
    const measured: number[] = [];
    const { app, url } = await startApp(platform, metadata, (made) =>
      measure(made, (ms) => measured.push(ms)),
    );
    const sse = app.get(SseService);
    await fetch(`${url}/orders/7`);
    for (const path of ['/orders/403/events', '/orders/x/events']) {
      const refused = await connect(url + path, EVENT_SOURCE);
      await refused.body();
    }
    await until(() => measured.length === 3);
    const clients = [
      await connect(`${url}/orders/7/events`, EVENT_SOURCE),
      await connect(`${url}/orders/7/events`),
      await connect(`${url}/prices`, EVENT_SOURCE),
    ];
    const leaving = await connect(`${url}/orders/8/events`, EVENT_SOURCE);
    await until(() => sse.stats().connections === 4);
    leaving.close();
    for (const channel of ['order:7', 'prices']) await sse.disconnect({ channel });
    await until(() => sse.stats().connections === 0 && clients.every(({ ended }) => ended));
    await fetch(`${url}/orders/7`);
    await until(() => measured.length >= 4);
    expect(measured).toHaveLength(4);
  });

  it('an interceptor measures the response headers of an @SseChannel connection, and the whole @Sse connection', async () => {
    const seen: string[] = [];
    const intercept = (context: ExecutionContext, next: CallHandler) => {
      const { url } = context.switchToHttp().getRequest<{ url: string }>();
      const see = (what: string) => () => void seen.push(`${url} ${what}`);
      return next
        .handle()
        .pipe(
          tap({ next: see('next'), complete: see('complete'), error: see('error') }),
          finalize(see('finalize')),
        );
    };
    const { app, url } = await startApp(platform, metadata, (made) =>
      made.useGlobalInterceptors({ intercept }),
    );
    const sse = app.get(SseService);
    const take = (path: string) =>
      seen.filter((line) => line.startsWith(path)).map((line) => line.split(' ')[1]);

    const refused = await connect(`${url}/orders/403/events`);
    expect([refused.status, take('/orders/403')]).toEqual([403, ['error', 'finalize']]);
    const channel = await connect(`${url}/orders/7/events`);
    expect(take('/orders/7')).toEqual(['next', 'complete', 'finalize']);
    const leaving = await connect(`${url}/prices?leaves`);
    const ending = await connect(`${url}/prices?is-ended`);
    await until(() => sse.stats().connections === 3);
    for (const n of [1, 2]) await sse.publish(n, { channel: 'prices' });
    for (const client of [leaving, ending]) await client.take(2);
    expect(take('/prices')).toEqual(['next', 'next', 'next', 'next']);
    leaving.close();
    await until(() => sse.stats().connections === 2);
    await sse.disconnect({ channel: 'prices' });
    await until(() => ending.ended);
    expect(take('/prices?leaves')).toEqual(['next', 'next', 'finalize']);
    expect(take('/prices?is-ended')).toEqual(['next', 'next', 'complete', 'finalize']);
    expect(take('/orders/7')).toEqual(['next', 'complete', 'finalize']);
    expect(channel.ended).toBe(false);
  });
});
