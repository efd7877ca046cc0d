import { describe, expect, it } from '@jest/globals';
import { platforms, terminate } from './support/app.js';
import { connect } from './support/client.js';
import { open, OPEN, runInPage, runs, start, typeAndData } from './support/client-runs.js';
import { clientNames } from './support/event-clients.js';
import { Relay } from './support/relay.js';
import { until } from './support/until.js';

describe.each(platforms)('On %s', (platformName, platform) => {
  // The clients in Node.js read the same bytes.
  describe.each(platformName === 'Express' ? runs : runs.slice(0, clientNames.length))(
    '%s in %s',
    (name, _environment, run) => {
      it('hands over each event once and in order between heartbeats and across reconnections, and nothing else', async () => {
        const { sse, publish, relay } = await start(platform, { heartbeatMs: 1_000, retryMs: 500 });
        const client = await open(name, run, [`${relay.url}/channel`]);
        await client.received(OPEN.data);
        const ids = [client.events()[0]!.id!, await publish('the first')];
        await client.received('the first');
        const heartbeatsLater = async (count: number) => {
          const before = relay.heartbeats;
          await until(() => relay.heartbeats >= before + count);
        };
        await heartbeatsLater(2);
        ids.push(await publish('behind heartbeats'));
        await client.received('behind heartbeats');
        relay.cut();
        ids.push(await publish('missed behind a break'));
        await client.received('missed behind a break');
        await heartbeatsLater(1);
        ids.push(await publish('behind a heartbeat'));
        await client.received('behind a heartbeat');
        await sse.disconnect({ channel: 'news' }, { refuseMs: 0 });
        ids.push(await publish('missed behind an end'));
        await client.received('missed behind an end');
        expect(client.events()).toEqual([
          { ...OPEN, path: '/channel', id: ids[0] },
          ...[
            'the first',
            'behind heartbeats',
            'missed behind a break',
            'behind a heartbeat',
            'missed behind an end',
          ].map((data, n) => ({ path: '/channel', type: 'news', data, id: ids[n + 1] })),
        ]);
        expect(relay.retries).toHaveLength(3);
        // The browser's own shows no timer: there is a test of its own below.
        if (name !== 'EventSource') expect(client.waits()).toEqual(relay.retries.slice(0, 2));
      });

      it('hands over nothing when it is refused or drained, and waits as long as it is told', async () => {
        const options = { retryMs: 1_000, drainMs: 100, limits: { connections: 2 } };
        const { app, url, sse, relay } = await start(platform, options);
        const other = await connect(`${url}/channel`);
        const client = await open(name, run, [`${relay.url}/channel`]);
        await client.received(OPEN.data);
        const refused = await Relay.start(url);
        const refusedClient = await open(name, run, [`${refused.url}/channel`]);
        await until(() => sse.stats().refused > 0 && refused.retries.length > 0);
        expect(refused.retries.at(-1)).toBeGreaterThanOrEqual(10_000);
        other.close();
        const terminated = terminate(app);
        await until(() => relay.retries.length > 1);
        if (name !== 'EventSource') {
          const waits = await until(client.waits, ({ length }) => length > 0);
          expect(waits[0]).toBe(relay.retries[1]);
          expect(await until(refusedClient.waits, ({ length }) => length > 0)).toEqual([
            refused.retries.at(-1),
          ]);
        }
        await terminated;
        expect(client.events().map(typeAndData)).toEqual([OPEN]);
        expect(refusedClient.lines().filter(({ wait }) => wait === undefined)).toEqual([]);
      });
    },
  );

  it('EventSource in Chromium waits as long as it is told', async () => {
    // Its own time is 3 s.
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
