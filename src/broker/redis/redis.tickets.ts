import { SseError } from '../../common/sse.errors.js';
import type { TicketStore } from '../tickets.js';
import type { RedisNames } from './names.js';
import { clientOf } from './script.js';
import type { RedisTopology, Route } from './topology.js';

/** Tickets in Redis, each a key of its own. In a cluster they are spread over the masters. */
export class RedisTickets implements TicketStore {
  constructor(
    private readonly topology: RedisTopology,
    private readonly names: RedisNames,
  ) {}

  async put(name: string, value: string, ttlMs: number): Promise<void> {
    await this.#run(name, (route, key) => clientOf(route).set(key, value, 'PX', ttlMs, 'NX'));
  }

  async take(name: string): Promise<string | undefined> {
    return (await this.#run(name, (route, key) => clientOf(route).getdel(key))) ?? undefined;
  }

  async #run<T>(name: string, command: (route: Route, key: string) => Promise<T>): Promise<T> {
    // No channel of an application has such a name, and each has a slot of its own.
    const channel = `!ticket:${name}`;
    const key = this.names.key(channel, 'value');
    try {
      return await this.topology.run(channel, (route) => command(route, key));
    } catch (error) {
      // The error of ioredis holds the arguments of the command, and Redis quotes those of an unknown one.
      throw new SseError('SSE_UNAVAILABLE', (error as Error).message.replace(/, with args .*/s, ''));
    }
  }
}
