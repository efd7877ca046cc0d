import { OLDEST, type SseBroker } from '../broker/broker.js';
import type { ChannelEvent } from '../channel/channel-event.js';
import { Channels } from '../channel/channels.js';
import { HistoryReader } from '../channel/history-reader.js';
import { checkChannel, checkPublication } from '../event.js';
import { inputError, SseError } from '../sse.errors.js';
import { HISTORY_DEFAULTS } from '../sse.options.js';
import type { SseAccess } from './access.js';

/** Which streams to end: those to which all that is given applies. */
export interface DisconnectTarget {
  /** Of this user, as authorizers, targets of `@SseChannel` and `messages()` name them. */
  user?: string | number;
  /** That read this channel. */
  channel?: string;
  /** The one that `SseService.connections()` calls so. */
  connection?: string;
}

/** What a disconnection may apply to. */
export interface Reader {
  readonly channels: readonly string[];
  readonly access: SseAccess;
  /** Of an open stream. */
  readonly connection?: string;
}

/** One call of `disconnect()`, wherever it was made. */
export interface Disconnection {
  readonly user?: string;
  readonly channel?: string;
  readonly connection?: string;
  /** For how long its streams are not to come back. */
  readonly refuseMs: number;
  /** When it was made, by the clock of the broker. */
  readonly at: number;
}

/** Not a name that a channel of a user's can have. */
const CHANNEL = '!disconnect';
const REFUSE_MS = 60_000;
const MAX_REFUSE_MS = 3_600_000;
/** Nobody may miss one of them for the bounds that are set for others. */
const HISTORY = { ...HISTORY_DEFAULTS, maxReplayEvents: 100_000 };

/**
 * Who was disconnected, anywhere.
 *
 * Disconnections are events of a channel of the module's own, so none is missed by a process that loses its connection
 * to Redis for a while; one that begins to listen reads those that are kept.
 */
export class Disconnections {
  readonly #channels: Channels;
  readonly #reader: HistoryReader;
  /** Those that keep streams from coming back, with the time until which they do. */
  #recent: { disconnection: Disconnection; until: number }[] = [];
  #listens = false;
  #closed = false;

  constructor(
    private readonly broker: SseBroker,
    private readonly hasHistory: boolean,
    private readonly onDisconnection: (disconnection: Disconnection) => void,
  ) {
    this.#channels = new Channels(broker, hasHistory && HISTORY);
    this.#reader = new HistoryReader(broker);
  }

  /** @throws SseError `SSE_INPUT`, `SSE_UNAVAILABLE` */
  async publish(target: DisconnectTarget, refuseMs = REFUSE_MS): Promise<void> {
    const checked = checkTarget(target);
    if (!Number.isInteger(refuseMs) || refuseMs < 0 || refuseMs > MAX_REFUSE_MS) {
      throw inputError('refuseMs', `a whole number of milliseconds, 0–${MAX_REFUSE_MS}`, refuseMs);
    }
    await this.broker.publish(CHANNEL, checkPublication({ ...checked, refuseMs }, {}, Infinity));
  }

  /** For how long a stream may not begin yet, in ms. */
  refusedMs(reader: Reader): number {
    const now = Date.now();
    this.#recent = this.#recent.filter(({ until }) => until > now);
    const applying = this.#recent.filter(({ disconnection }) => applies(disconnection, reader));
    return Math.max(0, ...applying.map(({ until }) => until - now));
  }

  /** Listens from now on, to what has been said before, too. */
  listen(): void {
    if (this.#listens) return;
    this.#listens = true;
    void this.#listen();
  }

  close(): void {
    this.#closed = true;
    this.#channels.close();
  }

  async #listen(): Promise<void> {
    let position: string | undefined;
    while (this.hasHistory && !this.#closed) {
      const isWanted = () => !this.#closed;
      const page = await this.#reader.readPatiently(CHANNEL, position ?? OLDEST, { isWanted });
      for (const event of page.events) this.#take(event);
      position = page.end;
      if (page.end === page.tip) break;
    }
    const subscriber = {
      open: () => undefined,
      next: (event: ChannelEvent) => this.#take(event),
      complete: () => undefined,
    };
    this.#channels.subscribe([CHANNEL], subscriber, position);
  }

  #take({ event, cursor }: ChannelEvent): void {
    const now = Date.now();
    const disconnection = decode(event.data, Number(cursor.split('-')[0]) || now);
    if (event.type !== undefined || !disconnection) return;
    const { at, refuseMs } = disconnection;
    // Clocks differ: here it is not earlier than there.
    const until = Math.min(at, now) + refuseMs;
    if (until > now && disconnection.connection === undefined) this.#recent.push({ disconnection, until });
    this.onDisconnection(disconnection);
  }
}

/** Whether a disconnection is meant for a reader, and its credential is none that was issued since. */
export function applies(
  { user, channel, connection, at }: Disconnection,
  { channels, access, connection: own }: Reader,
): boolean {
  if (user !== undefined && user !== userOf(access)) return false;
  if (channel !== undefined && !channels.includes(channel)) return false;
  if (connection !== undefined && connection !== own) return false;
  return !(access.issuedAt && access.issuedAt.getTime() > at);
}

/** The user as it travels. */
export const userOf = ({ user }: SseAccess): string | undefined =>
  user === undefined ? undefined : String(user);

/** Undefined for what is none: it would be taken for one of everybody. */
function decode(data: unknown, at: number): Disconnection | undefined {
  if (typeof data !== 'object' || data === null) return undefined;
  const { user, channel, connection, refuseMs } = data as Record<string, unknown>;
  const names = [user, channel, connection].filter((name) => name !== undefined);
  if (names.length === 0 || names.some((name) => typeof name !== 'string')) return undefined;
  if (typeof refuseMs !== 'number') return undefined;
  return { user, channel, connection, refuseMs, at } as Disconnection;
}

function checkTarget(target: DisconnectTarget): DisconnectTarget {
  if (typeof target !== 'object' || target === null) throw inputError('target', 'an object', target);
  const { user, channel, connection } = target;
  if (user === undefined && channel === undefined && connection === undefined) {
    const message = 'Expected `user`, `channel` or `connection` of whom to disconnect, got none';
    throw new SseError('SSE_INPUT', message);
  }
  if (user !== undefined && typeof user !== 'string' && typeof user !== 'number') {
    throw inputError('user', 'a string or a number', user);
  }
  if (connection !== undefined && typeof connection !== 'string') {
    throw inputError('connection', 'an id that `connections()` shows', connection);
  }
  return {
    user: userOf({ user }),
    channel: channel === undefined ? undefined : checkChannel(channel),
    connection,
  };
}
