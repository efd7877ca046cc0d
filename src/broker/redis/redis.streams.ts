import { randomInt } from 'node:crypto';
import {
  channelError,
  type OwnedState,
  type SseStreamEnd,
  type StreamAppend,
  type StreamStart,
  type StreamState,
  type StreamStore,
} from '../streams.js';
import type { RedisNames } from './names.js';
import { SCRIPTS } from './script.js';
import type { RedisTopology } from './topology.js';

type Answer = [string, string, unknown, string, unknown, string, string, unknown, unknown];

/** Streams in Redis, by `stream.lua` and `append.lua`. */
export class RedisStreams implements StreamStore {
  constructor(
    private readonly topology: RedisTopology,
    private readonly names: RedisNames,
  ) {}

  async start(channel: string, start: StreamStart): Promise<StreamState> {
    const { owner, leaseMs, keepMs, replaces, needsReaders } = start;
    const args = [owner, leaseMs, keepMs, Number(replaces), Number(needsReaders)];
    try {
      return (await this.#call(channel, 'start', args))!;
    } catch (error) {
      const { cause } = error as { cause?: Error };
      throw cause?.message?.startsWith('NOSTREAM') ? channelError(channel) : error;
    }
  }

  async append(channel: string, append: StreamAppend): Promise<OwnedState | undefined> {
    const { owner, leaseMs, expiryMs = '', number, packs, end } = append;
    const all = packs.flatMap(({ count, events }) => [count, events]);
    const args = [owner, leaseMs, expiryMs, end ? JSON.stringify(end) : '', number, ...all];
    const answer = await this.#run('append', channel, args);
    if (!answer) return this.#call(channel, 'settle', [owner, number]);
    const [abort, isWatched] = answer as [string, unknown];
    return { owner, ...(end && { end }), ...(abort && { abort }), isWatched: Number(isWatched) === 1 };
  }

  look(channel: string, hasReaders: boolean): Promise<StreamState | undefined> {
    return this.#call(channel, 'look', [Number(hasReaders)]);
  }

  abort(channel: string, reason: string): Promise<StreamState | undefined> {
    return this.#call(channel, 'abort', [reason]);
  }

  async #call(
    channel: string,
    operation: string,
    args: readonly (string | number)[],
  ): Promise<StreamState | undefined> {
    const answer = await this.#run('stream', channel, [operation, ...args]);
    const [generation, tip, left, owner, number, end, abort, isWatched, isLost] = answer as Answer;
    if (generation === '') return undefined;
    return {
      generation,
      tip,
      leftMs: Number(left),
      owner,
      number: Number(number),
      ...(end && { end: JSON.parse(end) as SseStreamEnd }),
      ...(abort && { abort }),
      isWatched: Number(isWatched) === 1,
      isLost: Number(isLost) === 1,
    };
  }

  #run(script: 'append' | 'stream', channel: string, args: readonly (string | number)[]): Promise<unknown> {
    const { topology, names } = this;
    const all = [names.live(channel), names.command, randomInt(2 ** 20), ...args];
    return topology.run(channel, (route) => SCRIPTS[script].run(route, names.keys(channel), all));
  }
}
