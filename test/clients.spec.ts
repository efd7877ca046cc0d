import { describe, expect, it } from '@jest/globals';
import { platforms, terminate } from './support/app.js';
import { open, OPEN, openAll, runInPage, runs, start, typeAndData } from './support/client-runs.js';
import { clientNames } from './support/event-clients.js';
import { until } from './support/until.js';

describe.each(platforms)('On %s', (platformName, platform) => {
  // The clients in Node.js read the same bytes.
  const all = platformName === 'Express' ? runs : runs.slice(0, clientNames.length);
  // The browser's EventSource has no visible timer; a test below covers it.
  const showsTimers = ([name]: (typeof all)[number]) => name !== 'EventSource';

  it('every client passes on exactly the published events, once and in order, between heartbeats and across reconnections', async () => {
    const { url, sse, publish } = await start(platform, { heartbeatMs: 1_000, retryMs: 500 });
    const { clients, relays, received } = await openAll(all, url);
    await received(OPEN.data);
    const ids = [clients[0]!.events()[0]!.id!];
    const send = async (data: string) => ids.push(await publish(data));
    const heartbeatsLater = (count: number) =>
      Promise.all(
        relays.map((relay) => {
          const before = relay.heartbeats;
          return until(() => relay.heartbeats >= before + count);
        }),
      );
    await send('the first');
    await received('the first');
    await heartbeatsLater(2);
    await send('behind heartbeats');
    await received('behind heartbeats');
    for (const relay of relays) relay.cut();
    await send('missed behind a break');
    await received('missed behind a break');
    await heartbeatsLater(1);
    await send('behind a heartbeat');
    await received('behind a heartbeat');
    await sse.disconnect({ channel: 'news' }, { refuseMs: 0 });
    await send('missed behind an end');
    await received('missed behind an end');
    const expected = [
      { ...OPEN, path: '/channel', id: ids[0] },
      ...[
        'the first',
        'behind heartbeats',
        'missed behind a break',
        'behind a heartbeat',
        'missed behind an end',
      ].map((data, n) => ({ path: '/channel', type: 'news', data, id: ids[n + 1] })),
    ];
    for (const [n, run] of all.entries()) {
      expect([...run, clients[n]!.events()]).toEqual([...run, expected]);
      const { retries } = relays[n]!;
      expect([...run, retries.length]).toEqual([...run, 3]);
      if (showsTimers(run)) expect([...run, clients[n]!.waits()]).toEqual([...run, retries.slice(0, 2)]);
    }
  });

  it('no client passes on an event when it is refused or drained, and each waits for the given time', async () => {
    const limits = { connections: all.length };
    const { app, url, sse } = await start(platform, { retryMs: 1_000, drainMs: 100, limits });
    const { clients, relays, received } = await openAll(all, url);
    await received(OPEN.data);
    const refused = await openAll(all, url);
    await Promise.all(refused.relays.map((relay) => until(() => relay.retries.length > 0)));
    expect(sse.stats().refused).toBeGreaterThanOrEqual(all.length);
    const terminated = terminate(app);
    await Promise.all(relays.map((relay) => until(() => relay.retries.length > 1)));
    for (const [n, run] of all.entries()) {
      const [client, refusedClient] = [clients[n]!, refused.clients[n]!];
      const told = refused.relays[n]!.retries.at(-1)!;
      expect(told).toBeGreaterThanOrEqual(10_000);
      if (showsTimers(run)) {
        const waits = await until(client.waits, ({ length }) => length > 0);
        expect([...run, waits[0]]).toEqual([...run, relays[n]!.retries[1]]);
        const refusedWaits = await until(refusedClient.waits, ({ length }) => length > 0);
        expect([...run, refusedWaits]).toEqual([...run, [told]]);
      }
      expect([...run, client.events().map(typeAndData)]).toEqual([...run, [OPEN]]);
      expect([...run, refusedClient.events()]).toEqual([...run, []]);
    }
    await terminated;
  });

  it('EventSource in Chromium waits for the given time', async () => {
    // Its default time is 3 s.
    const { relay } = await start(platform, { retryMs: 8_000 });
    const client = await open('EventSource', runInPage, [`${relay.url}/channel`]);
    await client.received(OPEN.data);
    expect(relay.retries).toEqual([4_000]);
    const begin = performance.now();
    relay.cut();
    await until(() => relay.heads.length === 2);
    expect(performance.now() - begin).toBeGreaterThan(3_900);
    expect(relay.heads[1]).toMatch(/^last-event-id: \d+-\d+$/im);
  });
});
