import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, beforeEach, expect, jest } from '@jest/globals';
import { SseError } from '../../src/common/sse.errors.js';
import type { Attempt, Find, PublishCommand } from '../../src/broker/redis/publication.js';
import { RedisPublisher } from '../../src/broker/redis/publisher.js';
import { SCRIPTS } from '../../src/broker/redis/script.js';
import type { RedisTopology } from '../../src/broker/redis/topology.js';
import { within } from './until.js';

/** A sent attempt or a search, whose result the test decides. */
export interface Sent {
  readonly name: string;
  readonly attempt?: Attempt;
  answer(value?: unknown): void;
  fail(error: Error): void;
}

export const refused = (message: string) => Object.assign(new Error(message), { name: 'ReplyError' });
export const NO_ANSWER = new Error('Connection is closed.');
export const NOT_SENT = new Error("Stream isn't writeable and enableOfflineQueue options is false");
export const FOR_A_WHILE = refused('READONLY You can’t write against a read only replica.');
export const REPEATED = refused('REPEATED: the channel has taken this publication, or a later one');
export const UNORDERED = refused('UNORDERED: the channel has not taken the publication before this one');
export const FOR_GOOD = refused('WRONGTYPE Operation against a key holding the wrong kind of value');

/** A publisher whose server is the test. A new one for each test, with fake timers. */
export class PublisherRig {
  connection = this.#newConnection();
  sent: Sent[] = [];
  learnt: unknown[] = [];
  publisher!: RedisPublisher;

  constructor() {
    beforeEach(() => {
      jest.useFakeTimers({ doNotFake: ['queueMicrotask', 'nextTick'] });
      [this.sent, this.learnt, this.connection] = [[], [], this.#newConnection()];
      const find: Find = (_, { channel, first }) =>
        this.#record(`find in ${channel} from ${first}`) as ReturnType<Find>;
      const learn = (_: Error, from: unknown) => this.learnt.push(from);
      const servers = { queueOf: () => '', routeOf: () => ({ connection: this.connection }), learn };
      this.publisher = new RedisPublisher(servers as unknown as RedisTopology, find);
    });
    afterEach(() => void jest.useRealTimers());
  }

  /** An event with the name `<channel><number>`. */
  readonly publish = (name: string, isRepeatable = true, size = 1) => {
    const id = this.publisher.publish(this.#command(name, isRepeatable, size));
    id.catch(() => undefined);
    return id;
  };

  /** A list in parts, each of as many events as given. */
  readonly publishAll = (parts: Readonly<Record<string, number>>) => {
    const commands = Object.entries(parts).map(([name, count]) => ({ ...this.#command(name), count }));
    const ids = this.publisher.publishAll(commands);
    for (const id of ids) id.catch(() => undefined);
    return ids;
  };

  readonly names = () => this.sent.map(({ name }) => name);

  /** Advances the time by the delay between two attempts. */
  readonly later = async () => {
    await turn();
    jest.advanceTimersByTime(1_000);
    await turn();
  };

  readonly isRejected = (id: Promise<string>, mayBePublished: boolean, ms = 1_000) =>
    within(ms, 'the rejection', expect(id).rejects.toMatchObject({ mayBePublished }));

  #newConnection() {
    const unreachable = () => new SseError('SSE_UNAVAILABLE', 'Redis is unreachable');
    return { ready: true, knownScripts: new Set(), reason: 'it hangs', unreachable };
  }

  #command(name: string, isRepeatable = true, size = 1): PublishCommand {
    const script = isRepeatable ? SCRIPTS.publish : undefined;
    const send = (_: unknown, attempt: Attempt) => this.#record(name, attempt) as Promise<string>;
    const resultOf = (cursors: ReadonlyMap<number, string>, number: number) => cursors.get(number);
    return { channel: name[0]!, count: 1, size, isRepeatable, script, send, resultOf };
  }

  #record(name: string, attempt?: Attempt) {
    return new Promise<unknown>((answer, fail) => this.sent.push({ name, attempt, answer, fail }));
  }
}
