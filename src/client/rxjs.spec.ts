import { afterEach, describe, expect, it } from '@jest/globals';
import {
  filter,
  firstValueFrom,
  from,
  fromEvent,
  map,
  retry,
  share,
  type Subscription,
  take,
  toArray,
} from 'rxjs';
import { events, hangUp, ScriptedServer, status, stream } from '../../test/support/scripted-server.js';
import { until } from '../../test/support/until.js';
import { connect, type SseClientEvent } from './index.js';
import { fromSse } from './rxjs.js';

const END = 'event: sse.end\ndata: {}\n\n';
const subscriptions: Subscription[] = [];
afterEach(() => {
  for (const subscription of subscriptions.splice(0)) subscription.unsubscribe();
});
/** Subscribes, and collects what happens. */
function read(...[url, options]: Parameters<typeof fromSse>) {
  const log: unknown[] = [];
  const subscription = fromSse(url, options).subscribe({
    next: ({ type, data }) => log.push(`${type} ${JSON.stringify(data)}`),
    error: (error: Error) => log.push(error),
    complete: () => log.push('complete'),
  });
  subscriptions.push(subscription);
  return { log, subscription };
}

describe('fromSse()', () => {
  it('delivers all events, and completes when the source has ended', async () => {
    const server = await ScriptedServer.start(
      events('retry: 1\nid: 1\nevent: paid\ndata: {"amount":5}\n\n'),
      events(`event: sse.reset\ndata: {"reason":"lost"}\n\ndata: text\n\n${END}`),
    );
    const { log } = read(server.url);
    await until(() => log.at(-1) === 'complete');
    expect(log).toEqual([
      'paid {"amount":5}',
      'sse.reset {"reason":"lost"}',
      'message "text"',
      'sse.end {}',
      'complete',
    ]);
    expect(server.ids).toEqual(['-', '1']);
  });

  it('fails with the error of a source that has failed', async () => {
    const server = await ScriptedServer.start(events('retry: 1\ndata: 1\n\n'), status(404));
    const { log } = read(server.url);
    await until(() => log.length === 2);
    expect(log).toEqual(['message 1', expect.objectContaining({ status: 404 })]);
  });

  it('fails for a wrong URL and a wrong option', () => {
    const wrong = [read('ftp://localhost'), read('http://localhost', { ticket: 5 as never })];
    expect(wrong.map(({ log }) => log)).toEqual([[expect.any(TypeError)], [expect.any(TypeError)]]);
  });

  it('makes a connection for each subscription, which unsubscribing closes', async () => {
    const server = await ScriptedServer.start(stream('data: 1\n\n'));
    const source = fromSse(server.url);
    const [first, second] = [source, source].map((one) => one.subscribe());
    await until(() => server.open.size === 2);
    first!.unsubscribe();
    await until(() => server.open.size === 1);
    second!.unsubscribe();
    await until(() => server.open.size === 0);
    expect(server.requests).toHaveLength(2);
  });

  it('makes no request where it is unsubscribed at once', async () => {
    const server = await ScriptedServer.start(stream('data: 1\n\n'));
    read(server.url).subscription.unsubscribe();
    expect(await firstValueFrom(fromSse(server.url))).toMatchObject({ data: 1 });
    expect(server.requests).toHaveLength(1);
  });

  it('closes the connection within the delivery of the last event that an operator takes', async () => {
    const server = await ScriptedServer.start(stream('data: 1\n\ndata: 2\n\ndata: 3\n\n'));
    const seen: unknown[] = [];
    const numbers = fromSse<number>(server.url).pipe(
      map(({ data }) => seen.push(data)),
      take(2),
      toArray(),
    );
    expect(await firstValueFrom(numbers)).toEqual([1, 2]);
    await until(() => server.open.size === 0);
    expect([seen, server.requests.length]).toEqual([[1, 2], 1]);
  });

  it('makes no further attempt where it is unsubscribed while it waits', async () => {
    const server = await ScriptedServer.start(hangUp, hangUp, stream('data: 1\n\n'));
    let failures = 0;
    const failing = read(server.url, {
      fetch: (...request) => fetch(...request).finally(() => failures++),
    });
    await until(() => failures === 1);
    failing.subscription.unsubscribe();
    // The attempt of the other one, whose delay begins later, comes after the one that must not come.
    const { log } = read(server.url);
    await until(() => log.length === 1);
    expect([failures, server.requests.length, failing.log]).toEqual([1, 3, []]);
  });

  it('reconnects with the operators of RxJS, and shares a connection', async () => {
    const server = await ScriptedServer.start(status(404), stream('event: paid\ndata: 1\n\ndata: 2\n\n'));
    const shared = fromSse<number>(server.url).pipe(retry(1), share());
    const [paid, others] = await Promise.all([
      firstValueFrom(shared.pipe(filter(({ type }) => type === 'paid'))),
      firstValueFrom(shared.pipe(filter(({ type }) => type === 'message'))),
    ]);
    expect([paid.data, others.data]).toEqual([1, 2]);
    await until(() => server.open.size === 0);
    expect(server.requests).toHaveLength(2);
  });
});

describe('A source of the application', () => {
  it('is an input of from() and fromEvent(), which leave it open', async () => {
    const server = await ScriptedServer.start(stream());
    const source = connect(server.url);
    const all: unknown[] = [];
    const one: unknown[] = [];
    const states: unknown[] = [];
    const listening = [
      from(source).subscribe(({ data }) => all.push(data)),
      fromEvent(source, 'paid', (data: number, { id }: SseClientEvent) => `${id}: ${data}`).subscribe(
        (value) => one.push(value),
      ),
      fromEvent(source, 'sse.state', (state: unknown) => state).subscribe((state) => states.push(state)),
    ];
    await until(() => source.state === 'open');
    const [response] = server.open;
    response!.write('id: 7\nevent: paid\ndata: 5\n\ndata: 6\n\n');
    await until(() => all.length === 2);
    for (const subscription of listening) subscription.unsubscribe();
    response!.write('event: paid\nid: 8\ndata: 9\n\n');
    await until(() => source.lastEventId === '8');
    expect([all, one, states, source.state]).toEqual([[5, 6], ['7: 5'], ['open'], 'open']);
    source.close();
  });
});
