/** What the runner can ask of every server; and the one Redis subscriber of those that have none of their own. */
import { Redis } from 'ioredis';
import { answer, options } from '../ipc.js';
import { Pace } from '../pace.js';

export { options };

const PREFIX = 'bench:';

/** @param publish takes a channel and data: an object, which each server encodes in its own way */
export async function control(server, publish) {
  if (options.redis) {
    const redis = new Redis(options.redis);
    redis.on('pmessage', (_, channel, text) => publish(channel.slice(PREFIX.length), JSON.parse(text)));
    await redis.psubscribe(`${PREFIX}*`);
  }
  controlOwn(server, publish);
}

/** The same for a server that comes with Redis of its own, or has none. */
export function controlOwn(server, publish) {
  const pace = new Pace((events) => Promise.all(events.map(({ channel, data }) => publish(channel, data))));
  const methods = {
    publish: (plan) => pace.run(plan),
    confirm: (deliveries) => pace.confirm(deliveries),
    cpu: () => process.cpuUsage(),
    heap() {
      globalThis.gc();
      return process.memoryUsage().heapUsed;
    },
  };
  answer(methods, { port: server.address().port, pid: process.pid });
}

export class Groups {
  #all = new Map();

  /** Everybody who reads the channel; made when it is first asked for. */
  of(channel) {
    if (!this.#all.has(channel)) this.#all.set(channel, new Set());
    return this.#all.get(channel);
  }
}
