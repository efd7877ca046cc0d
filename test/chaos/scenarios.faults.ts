import { get, type IncomingMessage, type RequestOptions } from 'node:http';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { createParser, type EventSourceMessage } from 'eventsource-parser';
import { Proxy } from '../support/proxy.js';
import { freePort } from '../support/port.js';
import { until } from '../support/until.js';
import { check } from './check.js';
import { LOSSY_FAULTS } from './faults.js';
import { CHANNELS, HISTORY, Rig } from './rig.js';

/** What clients get where the accept queue of a busy server overflows. */
const OVERFLOWS = ['ECONNRESET', 'ETIMEDOUT'];

/** Sends a request, again where the server could not accept its connection. */
async function respond(options: RequestOptions): Promise<IncomingMessage> {
  for (;;) {
    try {
      const [response] = await once(get({ ...options, agent: false }), 'response');
      return response as IncomingMessage;
    } catch (error) {
      if (!OVERFLOWS.includes((error as NodeJS.ErrnoException).code!)) throw error;
      await sleep(100);
    }
  }
}

describe('A single fault', () => {
  let rig: Rig;
  beforeAll(() => Logger.overrideLogger(false));
  afterEach(async () => {
    await rig.stop();
    expect(rig.problems).toEqual([]);
  });

  async function open(channel: string, lastEventId?: string): Promise<IncomingMessage> {
    const { port } = rig.nodes[0]!;
    const headers = lastEventId === undefined ? {} : { 'last-event-id': lastEventId };
    const response = await respond({ host: '127.0.0.1', port, path: `/events/${channel}`, headers });
    expect(response.statusCode).toBe(200);
    response.on('error', () => undefined);
    return response.setEncoding('latin1');
  }

  /** Reads until the text meets the condition. */
  async function read(response: IncomingMessage, isRight: (text: string) => boolean): Promise<string> {
    let text = '';
    response.on('data', (chunk: string) => (text += chunk));
    await until(() => isRight(text));
    response.destroy();
    return text;
  }

  function parse(text: string): EventSourceMessage[] {
    const events: EventSourceMessage[] = [];
    createParser({ onEvent: (event) => events.push(event) }).feed(text);
    return events;
  }

  /** One publisher, which publishes nothing by itself. */
  async function startQuietly(nodes = 1): Promise<void> {
    rig = new Rig(1);
    await rig.start({ nodes, publishers: 1, clients: 0, quiet: true });
  }

  const publishAll = async (count: number, channel: string, size = 0): Promise<string[]> => {
    const sending = Array.from({ length: count }, () => rig.publishers[0]!.send(channel, { size }));
    return (await Promise.all(sending)).map(({ id }) => id!);
  };

  it('5,000 clients that reconnect with one old id cost Redis a handful of reads', async () => {
    await startQuietly();
    const ids = await publishAll(200, 'crowd');
    await rig.admin.config('RESETSTAT');
    const texts = await Promise.all(
      Array.from({ length: 5_000 }, async () =>
        read(await open('crowd', ids[0]), (text) => text.includes(ids.at(-1)!)),
      ),
    );
    for (const text of new Set(texts)) expect(parse(text).map(({ id }) => id)).toEqual(ids.slice(1));
    const calls = [...(await rig.admin.info('commandstats')).matchAll(/cmdstat_evalsha?:calls=(\d+)/g)];
    // Clients that connect during a read share the next one. A busy machine accepts fewer of them during each.
    expect(calls.reduce((sum, [, count]) => sum + Number(count), 0)).toBeLessThanOrEqual(50);
  });

  it('subscriptions match the clients while 1,000 clients a second connect and leave', async () => {
    await startQuietly();
    const staying = await Promise.all(CHANNELS.map((channel) => open(channel)));
    const passing: Promise<void>[] = [];
    for (let second = 0; second < 3; second++) {
      for (let n = 0; n < 1_000; n++) {
        passing.push(open(`passing-${rig.random.below(300)}`).then((response) => void response.destroy()));
        if (n % 10 === 0) await sleep(10);
      }
      rig.nodes[0]!.proxy.cut();
    }
    await Promise.all(passing);
    const subscribed = async () => {
      const names = (await rig.admin.pubsub('CHANNELS')) as string[];
      // The node probes its own subscriber connection by this channel.
      return names.filter((name) => !name.startsWith('sse:!probe:')).toSorted();
    };
    const wanted = ['!disconnect', ...CHANNELS].map((each) => `sse:${each}`).join();
    await until(subscribed, (names) => names.join() === wanted);
    for (const response of staying) response.destroy();
    await until(subscribed, ({ length }) => length === 0);
    await until(
      () => rig.nodes[0]!.resources(),
      ({ sockets, connections, channels }) => sockets === 3 && connections + channels === 0,
    );
  });

  it('an application that starts before Redis opens connections, which become live when Redis starts', async () => {
    await startQuietly(0);
    const nobody = await Proxy.start(await freePort());
    await rig.startNode(nobody);
    const response = await open('a');
    const reading = read(response, (text) => text.includes('sse.open'));
    nobody.target = rig.server.port;
    await reading;
    const next = read(await open('a'), (text) => text.includes('a 0 0'));
    await publishAll(1, 'a');
    await next;
  });

  it('a client that disconnects at any byte gets exactly the rest', async () => {
    await startQuietly();
    const response = await open('a');
    const reading = read(response, (text) => text.includes('a 0 2'));
    await until(
      () => rig.nodes[0]!.resources(),
      ({ connections }) => connections === 1,
    );
    await rig.publishers[0]!.send('a');
    await rig.publishers[0]!.send('a', { own: true });
    await rig.publishers[0]!.send('a');
    const whole = await reading;
    const wanted = parse(whole).filter(({ event }) => event !== 'sse.open');
    expect(wanted).toHaveLength(3);
    for (let bytes = 0; bytes < whole.length; bytes++) {
      const before = parse(whole.slice(0, bytes));
      if (before.length === 0) continue;
      const got = before.filter(({ event }) => event !== 'sse.open');
      const missed = wanted.slice(got.length);
      if (missed.length === 0) continue;
      const after = await read(await open('a', before.at(-1)!.id), (text) => text.includes('a 0 2'));
      expect([...got, ...parse(after)]).toEqual(wanted);
    }
  });

  it.each(['Redis loses all its data', 'Redis is killed and restarted without its data'])(
    'each client gets one reset: %s',
    async (fault) => {
      rig = new Rig(1);
      await rig.start();
      for (const client of rig.clients.slice(0, 9)) client.settle();
      const gotSome = () => rig.clients.every(({ deliveries }) => deliveries.length > 20);
      await until(gotSome);
      await LOSSY_FAULTS[fault]!(rig);
      const resets = () =>
        rig.clients.map((client) => client.deliveries.filter(({ type }) => type === 'sse.reset'));
      await until(() => resets().every(({ length }) => length > 0));
      await rig.settle();
      expect((await check(rig)).violations).toEqual([]);
      for (const each of resets()) expect(each).toHaveLength(1);
    },
  );

  it('expired events are missing for a disconnected client, not for connected ones', async () => {
    rig = new Rig(1, { history: { ...HISTORY, maxAgeMs: 1_000 } });
    // Only a cursor shows that it is lost, not a publisher's own id.
    await rig.start({ publishers: 1, ownIds: 0 });
    for (const client of rig.clients) client.settle();
    const [away, ...there] = rig.clients.filter(({ channel }) => channel === 'a');
    await until(() => away!.deliveries.length > 20);
    away!.close();
    const left = away!.deliveries.length;
    await until(() => there[0]!.deliveries.length > left + 800);
    away!.open();
    const resets = () => away!.deliveries.filter(({ type }) => type === 'sse.reset');
    await until(() => resets().length > 0);
    await rig.settle();
    const published = rig.publishers[0]!.outcomes.filter(({ channel }) => channel === 'a').map(
      ({ id }) => id,
    );
    const received = (client: typeof away) =>
      client!.deliveries.filter(({ type }) => type === undefined).map(({ id }) => id);
    for (const client of there) {
      expect(received(client)).toEqual(published.slice(published.indexOf(received(client)[0])));
    }
    expect(resets()).toEqual([expect.objectContaining({ data: expect.stringContaining('"lost"') })]);
    const after = received(away).slice(left - 1);
    expect(after).toEqual(published.slice(published.indexOf(after[0])));
  });

  it('a client that reads nothing costs little memory, does not affect others, and misses nothing', async () => {
    await startQuietly();
    const slow = await open('big');
    slow.pause();
    const before = (await rig.nodes[0]!.resources()).rss;
    const others = await Promise.all(Array.from({ length: 4 }, () => open('big')));
    const counts = others.map((response) => {
      const counted = { events: 0 };
      const parser = createParser({
        onEvent: ({ event }) => (counted.events += event === undefined ? 1 : 0),
      });
      response.on('data', (chunk: string) => parser.feed(chunk));
      return counted;
    });
    const ids: string[] = [];
    let peak = 0;
    for (let round = 0; round < 100; round++) {
      ids.push(...(await publishAll(10, 'big', 150_000)));
      await until(() => counts.every(({ events }) => events === (round + 1) * 10));
      peak = Math.max(peak, (await rig.nodes[0]!.resources()).rss);
    }
    expect(peak - before).toBeLessThan(100 * 2 ** 20);
    const received: string[] = [];
    const follow = async (response: IncomingMessage) => {
      const parser = createParser({ onEvent: ({ id, event }) => event === undefined && received.push(id!) });
      response.on('data', (chunk: string) => parser.feed(chunk)).resume();
      const count = () => received.length;
      await until(count, () => response.destroyed || received.at(-1) === ids.at(-1));
      response.destroy();
    };
    await follow(slow);
    // A client that reads nothing for half a minute was disconnected.
    if (received.at(-1) !== ids.at(-1)) await follow(await open('big', received.at(-1)));
    expect(received).toEqual(ids);
  });
});
