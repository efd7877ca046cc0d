/** The calls that every server answers, and one Redis subscriber for servers without one. */
import { Redis } from 'ioredis';
import { answer, options } from '../ipc.js';
import { Pace } from '../pace.js';

export { options };

const PREFIX = 'bench:';

/** @param publish takes a channel and data, an object that each server encodes in its own way */
export async function control(server, publish) {
  if (options.redis) {
    const redis = new Redis(options.redis);
    redis.on('pmessage', (_, channel, text) => publish(channel.slice(PREFIX.length), JSON.parse(text)));
    await redis.psubscribe(`${PREFIX}*`);
  }
  controlOwn(server, publish);
}

/** The same for a server that has its own Redis subscriber, or none. */
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

  /** All readers of the channel; created on first use. */
  of(channel) {
    if (!this.#all.has(channel)) this.#all.set(channel, new Set());
    return this.#all.get(channel);
  }
}
