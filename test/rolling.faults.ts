import { once } from 'node:events';
import { type ClientRequest, get, type IncomingMessage, request } from 'node:http';
import { text } from 'node:stream/consumers';
import { afterEach, describe, expect, it } from '@jest/globals';
import { createParser } from 'eventsource-parser';
import { freePort } from './support/port.js';
import { startRedis } from './support/redis.js';
import { ReverseProxy } from './support/reverse-proxy.js';
import { Sample } from './support/sample.js';
import { until } from './support/until.js';

const CLIENTS = 300;
const NODES = 3;
const EVENTS_PER_SECOND = 25;
/** The `drainMs` of an application in production. */
const DRAIN_MS = 5_000;
/** The share of the reconnections that may be due in the same `BIN_MS`. */
const BIN_MS = 100;
const MAX_SHARE = 0.1;

/** A connection that the server has ended. Times are by the clock of `performance`. */
interface Ended {
  readonly openedAt: number;
  readonly endedAt: number;
  /** The delay that the server gave for the reconnection. */
  readonly retryMs: number;
}

/** Behaves like a browser: reconnects after the given time, with its last id. */
class Client {
  readonly data: number[] = [];
  /** When it reconnected, by the clock of `performance`. */
  readonly returns: number[] = [];
  readonly ended: Ended[] = [];
  readonly others: string[] = [];
  isOpen = false;
  #lastEventId: string | undefined;
  #retryMs = 3_000;
  #request!: ClientRequest;
  #closed = false;
  #return: NodeJS.Timeout | undefined;

  constructor(private readonly url: string) {
    this.#connect();
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#return);
    this.#request.destroy();
  }

  #connect(): void {
    const headers = this.#lastEventId === undefined ? {} : { 'last-event-id': this.#lastEventId };
    const parser = createParser({
      onEvent: ({ id, event, data }) => {
        this.#lastEventId = id;
        if (event === undefined) this.data.push(Number(data));
        else if (event !== 'sse.open') this.others.push(`${event} ${data}`);
      },
      onRetry: (ms) => (this.#retryMs = ms),
    });
    let hasEnded = false;
    let openedAt: number | undefined;
    const end = () => {
      if (hasEnded || this.#closed) return;
      hasEnded = true;
      this.isOpen = false;
      if (openedAt !== undefined) {
        this.ended.push({ openedAt, endedAt: performance.now(), retryMs: this.#retryMs });
      }
      this.#return = setTimeout(() => {
        this.returns.push(performance.now());
        this.#connect();
      }, this.#retryMs);
    };
    this.#request = get(`${this.url}/channel`, { headers, agent: false }, (response) => {
      this.isOpen = true;
      openedAt = performance.now();
      if (response.statusCode !== 200) this.others.push(`${response.statusCode}`);
      response.setEncoding('utf8').on('data', (chunk: string) => parser.feed(chunk));
      response.on('error', () => undefined).on('close', end);
    });
    this.#request.on('error', end);
  }
}

describe('A rolling restart of three nodes behind HAProxy', () => {
  const clients: Client[] = [];
  afterEach(() => {
    for (const client of clients.splice(0)) client.close();
  });

  it('loses nothing, repeats nothing, fails no request, and spreads the reconnections', async () => {
    const redis = await startRedis();
    const admin = redis.admin();
    const ports = await Promise.all(Array.from({ length: NODES }, freePort));
    const start = (port: number) =>
      Sample.start({ PORT: `${port}`, SSE_REDIS_URL: redis.url, NODE_ENV: 'production' });
    const nodes = await Promise.all(ports.map(start));
    const addresses = ports.map((port) => `http://127.0.0.1:${port}`);
    const proxy = await ReverseProxy.start('haproxy', addresses.slice(0, 2), {
      'ssl crt /etc/haproxy/app.pem alpn h2,http/1.1': '',
      'maxconn 32768': 'maxconn 2000',
      'server app-2': `server app-3 127.0.0.1:${ports[2]}\n  server app-2`,
      'inter 2s': 'inter 500ms',
      // Otherwise a check may take no longer than `inter`, which all nodes exceed at once if the machine is busy.
      'timeout connect 5s': 'timeout connect 5s\n  timeout check 30s',
    });
    for (let n = 0; n < CLIENTS; n++) clients.push(new Client(proxy.url));
    await until(() => clients.every(({ isOpen }) => isOpen));
    const connections = async (url: string) =>
      (await (await fetch(`${url}/health`)).json()).connections as number;
    const perNode = () => Promise.all(addresses.map(connections));
    await until(perNode, (counts) => counts.every((count) => count === CLIENTS / NODES));

    let count = 0;
    const failed: string[] = [];
    const publish = async () => {
      const body = JSON.stringify({ data: count++ });
      const headers = { 'content-type': 'application/json' };
      // On a connection that was used before, HAProxy closes it in place of a 502 when a node has closed its own.
      const publication = request(`${proxy.url}/publish`, { method: 'POST', headers, agent: false }).end(
        body,
      );
      const [response] = (await once(publication, 'response')) as [IncomingMessage];
      const answer = await text(response);
      if (response.statusCode !== 201) failed.push(`${response.statusCode} ${answer}`);
    };
    const publishing: Promise<unknown>[] = [];
    const load = setInterval(
      () => publishing.push(publish().catch((error: Error) => failed.push(error.message))),
      1_000 / EVENTS_PER_SECOND,
    );

    const begins: number[] = [];
    for (const [n, node] of nodes.entries()) {
      begins.push(performance.now());
      expect(await node.signal('SIGTERM')).toEqual({ code: 0, signal: null });
      await start(ports[n]!);
      await until(() => clients.every(({ isOpen }) => isOpen));
      // HAProxy has also detected it, and sends new connections to the node with the fewest connections.
      await until(async () => (await connections(proxy.url)) < CLIENTS / NODES);
    }
    clearInterval(load);
    await Promise.all(publishing);
    await publish();
    expect(failed).toEqual([]);
    const waiting = () => clients.filter(({ data }) => data.length < count);
    await until(
      () => waiting().map(({ data, others, isOpen }) => [data.length, data.at(-1), others, isOpen]),
      ({ length }) => length === 0,
    );

    const entries = await admin.xrange('sse:{sse}:history', '-', '+');
    const stored = entries.map(([, [, value]]) => Number(/"data":"?(\d+)/.exec(value!)![1]));
    const [{ data: order }] = clients as [Client];
    expect(order.toSorted((a, b) => a - b)).toEqual(Array.from({ length: count }, (_, n) => n));
    // On a slow machine there are more events than the channel stores.
    expect(order.slice(-stored.length)).toEqual(stored);
    for (const { data, others } of clients) expect([data, others]).toEqual([order, []]);
    const returns = clients.flatMap((client) => client.returns);
    const restarts = begins.map((begin, n) => {
      const end = begins[n + 1] ?? Infinity;
      return returns.filter((at) => at >= begin && at < end).map((at) => at - begin);
    });
    for (const [n, begin] of begins.entries()) {
      const end = begins[n + 1] ?? Infinity;
      const drained = clients
        .flatMap(({ ended }) => ended)
        .filter(({ openedAt, endedAt }) => openedAt < begin && endedAt >= begin && endedAt < end)
        .toSorted((a, b) => a.endedAt - b.endedAt);
      expect(drained.length).toBeGreaterThanOrEqual(CLIENTS / NODES);
      // A busy machine may end connections late, and never early.
      const dues = drained.map((_, index) => (DRAIN_MS * index) / drained.length);
      for (const [index, { endedAt }] of drained.entries()) {
        expect(endedAt - begin).toBeGreaterThan(dues[index]! - 1);
      }
      const reconnections = drained.map(({ retryMs }, index) => dues[index]! + retryMs);
      expect(Math.max(...binned(reconnections, BIN_MS)) / drained.length).toBeLessThanOrEqual(MAX_SHARE);
    }
    admin.disconnect();
    if (process.env.ROLLING_REPORT) process.stdout.write(`${report(restarts, count)}\n`);
  });
});

function binned(times: readonly number[], ms: number): number[] {
  const bins = Array<number>(Math.ceil(Math.max(...times) / ms)).fill(0);
  for (const time of times) bins[Math.floor(time / ms)]!++;
  return bins;
}

/** The number of reconnections over time, in the format of docs/production.md. */
function report(restarts: number[][], events: number): string {
  const rows = restarts.map((times, n) => {
    const shares = binned(times, BIN_MS).map((count) => count / times.length);
    const seconds = binned(times, 1_000).join(' ');
    const worst = (Math.max(...shares) * 100).toFixed(1);
    return `| ${n + 1} | ${times.length} | ${seconds} | ${worst} % |`;
  });
  const header =
    '| Restart | Reconnections | in second 1, 2, … | most in 100 ms |\n| --- | --- | --- | --- |';
  return [`${events} events to ${CLIENTS} clients`, header, ...rows].join('\n');
}
