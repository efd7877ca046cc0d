import { randomInt } from 'node:crypto';
import type { Publication } from '../../event/event.js';
import { encodeBody } from '../../event/message.js';
import { ListCommand, type ListedEvent, type ListTarget } from './list-command.js';
import type { RedisNames } from './names.js';
import type { PublishCommand } from './publication.js';
import { SCRIPTS } from './script.js';
import type { RedisTopology, Route } from './topology.js';

/** Bounds of one script call for a list: events, and characters. Redis is busy with it for a few ms (`bench/publish.bench.js`). */
const [CALL_EVENTS, CALL_SIZE] = [1_000, 1_048_576];

/** Makes the commands that publish events. */
export class PublishCommands {
  constructor(
    private readonly topology: RedisTopology,
    private readonly names: RedisNames,
    /** Whether channels have a history. */
    private readonly isStoring: boolean,
    /** How much history a channel keeps, as arguments of the scripts. */
    private readonly keptOf: (channel: string) => readonly (number | '')[],
  ) {}

  event(channel: string, publication: Publication): PublishCommand {
    const { id = '', idempotencyKey, transient } = publication;
    const kept = !transient && this.isStoring;
    const body = encodeBody(publication, kept);
    const size = publication.data.length;
    if (!kept && idempotencyKey === undefined) {
      const send = (route: Route) => this.send(route, channel, body).then(() => id);
      return { channel, count: 1, size, isRepeatable: false, send, resultOf: () => id };
    }
    const keys = this.names.keys(channel, id !== '');
    if (idempotencyKey !== undefined) keys.push(this.names.key(channel, `idempotency:${idempotencyKey}`));
    const script = SCRIPTS.publish;
    // Without a spread: Node.js 20 takes microseconds for a copy with further keys, as long as for all else (`bench/publish.bench.js`).
    return {
      channel,
      count: 1,
      size,
      isRepeatable: true,
      script,
      send: (route, { publisher, number, after = '', whole }) => {
        const nonce = publisher + number.toString(36);
        const event = [this.names.live(channel), body, id, nonce, randomInt(2 ** 20)];
        const args = [...event, ...this.keptOf(channel), this.names.command, number, after];
        return script[whole ? 'load' : 'call'](route, keys, args) as Promise<string>;
      },
      resultOf: (cursors, number) => {
        const cursor = cursors.get(number);
        return cursor === undefined ? undefined : id || cursor;
      },
    };
  }

  /** One command, or several where one would keep Redis busy for long. */
  list(channel: string, publications: readonly Publication[]): readonly PublishCommand<readonly string[]>[] {
    const { names, isStoring } = this;
    const kept = this.keptOf(channel);
    const target: ListTarget = {
      channel,
      names,
      kept,
      isStored: isStoring && publications.some(({ transient }) => !transient),
      liveRoute: (to) => this.#liveRoute(to, channel),
    };
    const parts: ListedEvent[][] = [];
    let size = Infinity;
    for (const publication of publications) {
      const body = encodeBody(publication, isStoring && !publication.transient);
      let part = parts.at(-1);
      if (!part || part.length >= CALL_EVENTS || size + body.length > CALL_SIZE) {
        parts.push((part = []));
        size = 0;
      }
      part.push({ publication, body });
      size += body.length;
    }
    return parts.map((part) => new ListCommand(target, part));
  }

  /** Sends a message that is not stored. */
  send(route: Route, channel: string, text: string): Promise<unknown> {
    const { client } = this.#liveRoute(route, channel).connection;
    return client[this.topology.sharded ? 'spublish' : 'publish'](this.names.live(channel), text);
  }

  /** While a slot migrates, its subscribers are still on the server that it leaves. */
  #liveRoute(route: Route, channel: string): Route {
    return route.asking ? { connection: this.topology.routeOf(channel).connection } : route;
  }
}
