import { get } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { RedisSseBroker } from '../../src/broker/redis/redis.broker.js';
import { PUBLISH } from '../../src/broker/redis/scripts.js';
import { checkPublication } from '../../src/event/event.js';
import { HoppingClient, Sightings } from './client.js';
import type { Fault } from './faults.js';
import { HISTORY } from './rig.js';

/** Nested more deeply than `JSON.stringify()` can handle. */
const BOMB = `{"data":${'['.repeat(5_000)}${']'.repeat(5_000)}}`;

/** Faults that clients, applications and operators cause. */
export const UNKIND_FAULTS: Record<string, Fault> = {
  'the clock of Redis steps while replies are lost': async ({ server, publishers, random }) => {
    for (const { proxy } of publishers) proxy.dropDown = true;
    await sleep(random.between(20, 300));
    server.setClock(random.of([3_600, -3_600]));
    await sleep(random.between(20, 300));
    for (const { proxy } of publishers) {
      proxy.cut();
      proxy.dropDown = false;
    }
    await sleep(1_000);
    server.setClock(0);
  },
  'a node is suspended': async ({ nodes, random }) => {
    const node = random.of(nodes);
    node.signal('SIGSTOP');
    await sleep(random.between(100, 5_500));
    node.signal('SIGCONT');
  },
  'events with too deeply nested data arrive': async ({ admin, channels, random }) => {
    for (const channel of channels) {
      const [history, meta] = [`sse:{${channel}}:history`, `sse:{${channel}}:meta`];
      await admin.publish(`sse:${channel}`, BOMB);
      const nonce = `bombbomb-${random.below(1e9)}`;
      await admin.eval(PUBLISH, 2, history, meta, `sse:${channel}`, BOMB, '', nonce, 1, '', '');
    }
  },
  'clients send invented ids': async (rig) => {
    const { random } = rig;
    const end = performance.now() + random.between(500, 2_000);
    const loop = async () => {
      while (performance.now() < end) {
        const ids = ['no-such-id', `${Date.now()}-${random.below(1e6)}`, `${random.below(1e12)}0-1`, '~'];
        const wrong = await visit(random.of(rig.ports()), random.of(rig.channels), random.of(ids));
        if (wrong) rig.problems.push(`An invented id was answered ${wrong}`);
      }
    };
    await Promise.all(Array.from({ length: 20 }, loop));
  },
  'filters throw on some events': async (rig) => {
    const { ports, random } = rig;
    const clients = Array.from({ length: 6 }, (_, n) => {
      const channel = rig.channels[n % rig.channels.length]!;
      const path = `/failing/${channel}`;
      return new HoppingClient({ channel, path, ports, random, sightings: new Sightings() });
    });
    for (const client of clients) client.settle();
    await sleep(random.between(1_000, 3_000));
    for (const client of clients) client.close();
    for (const { channel, deliveries, reconnects } of clients) {
      const resets = deliveries.filter(({ type }) => type === 'sse.reset').length;
      // Each failing event closes the connection once, and is then replaced by a reset.
      if (reconnects.length > resets + 2) {
        rig.problems.push(`A client reconnected ${reconnects.length} times for ${resets} failing events`);
      }
      if (rig.losses.get(channel)! > 0) continue;
      const got = deliveries.filter(({ type }) => type === undefined).map(({ data }) => data);
      const chain = (await rig.chain(channel)).map(({ data }) => data);
      const between = chain.slice(chain.indexOf(got[0]!), chain.indexOf(got.at(-1)!) + 1);
      const missing = between.filter((data) => !got.includes(data));
      if (!missing.every(failsIn) || resets < missing.length || got.some(failsIn)) {
        rig.problems.push(`With a filter that throws came ${got.length} of ${between.length} events`);
      }
    }
  },
  'another application publishes on the same Pub/Sub channels': async ({ server, channels, random }) => {
    const settings = { ...HISTORY, explicit: true };
    const stranger = new RedisSseBroker(`redis://127.0.0.1:${server.port}/1`, 'sse:', settings);
    for (let left = random.between(5, 50); left > 0; left--) {
      const event = checkPublication('a stranger’s', {}, 1_000);
      await stranger.publish(random.of(channels), event).catch(() => undefined);
      await sleep(random.between(1, 30));
    }
    await stranger.close();
  },
};

/** Whether the filter of the route throws on the event. */
const failsIn = (data: string) => data.split(' ')[2]!.endsWith('50');

/** Disconnects after the first event. Resolves to the response if it was wrong. */
function visit(port: number, channel: string, lastEventId: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const headers = { 'last-event-id': lastEventId };
    const options = { host: '127.0.0.1', port, path: `/events/${channel}`, headers, agent: false };
    const request = get(options, (response) => {
      let text = `${response.statusCode}\n`;
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
        if (/^data: /m.test(text)) request.destroy();
      });
      const isWrong = () =>
        response.statusCode !== 200 || (/^data: /m.test(text) && !/^event: sse.reset$/m.test(text));
      response.once('close', () => resolve(isWrong() ? text : undefined));
      response.on('error', () => undefined);
    });
    request.on('error', () => resolve(undefined));
    request.setTimeout(3_000, () => request.destroy());
  });
}
