import { connect as connectHttp2 } from 'node:http2';
import { afterEach, describe, expect, it } from '@jest/globals';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { SseService } from 'nestjs-sse-channels';
import { slowGuard, startRoutes } from './support/response-routes.js';
import { until } from './support/until.js';

describe('An @SseChannel response over HTTP/2', () => {
  const sessions: { destroy(): void }[] = [];

  afterEach(() => sessions.splice(0).forEach((session) => session.destroy()));

  it('replays missed events at the pace of the client', async () => {
    const { app, url } = await startRoutes(() => new FastifyAdapter({ http2: true }));
    const sse = app.get(SseService);
    const first = await sse.publish(0);
    for (let n = 1; n <= 40; n++) await sse.publish(`${n}`.padEnd(100_000));
    const session = connectHttp2(url);
    sessions.push(session);
    const headers = { ':path': '/headers', 'last-event-id': first };
    const request = session.request(headers).setEncoding('utf8');
    let text = '';
    request.on('data', (chunk: string) => (text += chunk));
    await until(() => text.includes('data: 40 ') || request.destroyed);
    const numbers = [...text.matchAll(/^data: (\d+) /gm)].map(([, number]) => Number(number));
    expect(numbers).toEqual(Array.from({ length: 40 }, (_, n) => n + 1));
    expect(sse.stats().slow).toBe(0);
  });

  it('delivers events, and closes when the client disconnects while a guard runs', async () => {
    const { app, url } = await startRoutes(() => new FastifyAdapter({ http2: true }));
    const sse = app.get(SseService);
    const session = connectHttp2(url);
    sessions.push(session);
    let text = '';
    const request = session.request({ ':path': '/headers' }).setEncoding('utf8');
    request.on('data', (chunk: string) => (text += chunk));
    await until(() => text.includes('sse.open'));
    await sse.publish('over HTTP/2');
    await until(() => text.includes('data: over HTTP/2\n\n'));
    request.close();
    await until(() => sse.stats().connections === 0);
    const left = session.request({ ':path': '/slow' });
    await slowGuard.entered;
    left.close();
    await new Promise((resolve) => left.once('close', resolve));
    await new Promise((resolve) => session.ping(resolve));
    slowGuard.open();
    const next = session.request({ ':path': '/headers' });
    await new Promise((resolve) => next.once('response', resolve));
    expect(sse.stats().connections).toBe(1);
    session.destroy();
  });
});
