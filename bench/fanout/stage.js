/** One server and its clients, restarted for each measurement. */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { start } from './ipc.js';
import { deliveriesPerTurn, expectedOf } from './plan.js';
import { redisPublisher } from './publisher.js';
import { RIVALS } from './rivals.js';

const micros = ({ user, system }) => user + system;
const residentBytes = (pid) =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1_024;
/** The number of write system calls so far. */
const writesOf = (pid) => Number(/syscw: (\d+)/.exec(readFileSync(`/proc/${pid}/io`, 'utf8'))?.[1]);

export class Stage {
  /**
   * @param redis the Redis for events; undefined: the server process publishes them itself
   * @param more further options of the server
   */
  static async set(name, { redis, profile, ...more }) {
    const { file, options, wire, publishes } = RIVALS[name];
    const execArgv = ['--expose-gc', ...(profile ? ['--cpu-prof', '--cpu-prof-dir', profile] : [])];
    await redis?.admin.flushall();
    const server = await start(`servers/${file}.js`, { ...options, redis: redis?.url, ...more }, execArgv);
    const load = await start('load.js');
    const publisher =
      redis && !publishes
        ? await redisPublisher(redis, wire)
        : {
            run: (plan) => server.call('publish', plan),
            confirm: (deliveries) => server.tell('confirm', deliveries),
            close: () => undefined,
          };
    return new Stage(name, server, load, publisher);
  }

  constructor(name, server, load, publisher) {
    Object.assign(this, { name, server, load, publisher });
    load.onNotice((deliveries) => publisher.confirm(deliveries));
  }

  async stop() {
    this.publisher.close();
    await this.load.stop();
    await this.server.stop();
  }

  async open(plan, clients = plan.clients) {
    const { path } = RIVALS[this.name];
    await this.load.call('open', { port: this.server.port, path, plan, clients });
  }

  /** Publishes until every client has received an event: a server may send headers before its subscription is live. */
  async live(plan) {
    const once = {
      ...plan,
      turns: { one: 1, many: plan.channels / (plan.perTurn ?? 1), both: 11 }[plan.topology],
    };
    const expected = expectedOf(once);
    for (let attempt = 0; attempt < 50; attempt++) {
      await this.load.call('expect', { progress: 1 });
      // Events that are lost here must not delay it.
      await this.publisher.run({ ...once, rate: undefined, window: Infinity });
      // One event to 10,000 clients takes a slow server up to half a second. Another one would only delay it.
      for (let look = 0; look < 10; look++) {
        await sleep(100);
        if (await this.load.call('isLive', expected)) return this.quiet();
      }
    }
    throw new Error(`${this.name} does not deliver`);
  }

  async quiet() {
    await sleep(500);
  }

  /** Publishes the plan, and waits until all clients have all events. */
  async play(plan, { timed = false, awake = false } = {}) {
    const perTurn = deliveriesPerTurn(plan);
    const expected = expectedOf(plan);
    const { load, server } = this;
    const progress = Math.max(1, ((plan.window ?? 20) * perTurn) / 4);
    await load.call('expect', { progress, timed });
    const spent = async () => [
      micros(await server.call('cpu')),
      micros(await load.call('cpu')),
      writesOf(server.pid),
    ];
    const before = await spent();
    const start = performance.now();
    const published = this.publisher.run(plan);
    // Awaited below, after the clients.
    published.catch(() => undefined);
    await load.call('drained', expected, awake);
    const seconds = (performance.now() - start) / 1_000;
    const after = await spent();
    this.publisher.confirm(Infinity);
    await published;
    const deliveries = plan.turns * perTurn;
    const [cpu, client, writes] = after.map((value, index) => (value - before[index]) / deliveries);
    const faults = await load.call('faults', expected);
    const latencies = timed ? await load.call('latencies') : {};
    // Clients that do not sleep use all of a core.
    const cost = awake ? { cpu } : { cpu, client };
    return { ...cost, writes, seconds, rate: deliveries / seconds, ...faults, ...latencies };
  }

  /** Bytes, after a garbage collection if the server has one. */
  async memory() {
    const heap = await this.server.call('heap');
    return { rss: residentBytes(this.server.pid), heap };
  }

  async cpu() {
    return micros(await this.server.call('cpu'));
  }

  /** @returns the peak of memory during the work */
  async peak(work) {
    let peak = 0;
    const timer = setInterval(() => (peak = Math.max(peak, residentBytes(this.server.pid))), 20);
    try {
      await work();
    } finally {
      clearInterval(timer);
    }
    return peak;
  }
}
