import { CONTROL_CHANNEL, OLDEST, type SseBroker } from '../broker/broker.js';
import type { ChannelEvent } from '../channel/channel-event.js';
import { Channels } from '../channel/channels.js';
import { HistoryReader } from '../channel/history-reader.js';
import { checkChannel, checkPublication } from '../event.js';
import { checkKeys, inputError, SseError } from '../sse.errors.js';
import { HISTORY_DEFAULTS } from '../sse.options.js';
import { checkAccess, type SseAccess } from './access.js';

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
  /** When its permission was asked for. */
  readonly askedAt?: number;
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
  /** By the clock of this process: when it was heard of, and until when its streams are not to come back. */
  readonly heardAt: number;
  readonly until: number;
}

const REFUSE_MS = 60_000;
const MAX_REFUSE_MS = 3_600_000;
/** How long one that lets its streams come back at once is kept, for those whose permission is just being asked for. */
const PENDING_MS = 600_000;
/** When a client is to come back that may ask again at once. */
export const AGAIN_MS = 1_000;
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
  /** Those that may keep streams from coming back. */
  #recent: Disconnection[] = [];
  /** How far this process has listened. */
  #position: string | undefined;
  #listening: { unsubscribe(): void } | undefined;

  constructor(
    private readonly broker: SseBroker,
    private readonly hasHistory: boolean,
    /** @param isLate whether it was made before this process began to listen */
    private readonly onDisconnection: (disconnection: Disconnection, isLate: boolean) => void,
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
    await this.broker.publish(CONTROL_CHANNEL, checkPublication({ ...checked, refuseMs }, {}, Infinity));
  }

  /** For how long a stream may not begin yet, in ms. */
  refusedMs(reader: Reader): number {
    const now = Date.now();
    let refusedMs = 0;
    for (const disconnection of this.#recent) {
      const { heardAt, until } = disconnection;
      // The answer may be older than it.
      const isPending = reader.askedAt !== undefined && reader.askedAt <= heardAt;
      if ((until <= now && !isPending) || !applies(disconnection, reader)) continue;
      if (isPending) refusedMs = Math.max(refusedMs, until - now, AGAIN_MS);
      else if (!isNewer(reader.access, disconnection)) refusedMs = Math.max(refusedMs, until - now);
    }
    return refusedMs;
  }

  /** Listens from now on, to what was said before, too; until it is paused. */
  listen(): void {
    if (this.#listening) return;
    const listening = { unsubscribe: () => undefined };
    this.#listening = listening;
    void this.#listen(listening);
  }

  /** While there are no streams, there is nothing to be subscribed for. */
  pause(): void {
    this.#listening?.unsubscribe();
    this.#listening = undefined;
  }

  close(): void {
    this.pause();
    this.#channels.close();
  }

  async #listen(listening: { unsubscribe(): void }): Promise<void> {
    const isWanted = () => this.#listening === listening;
    // What it has missed may end the stream that is just being let in: not before it is.
    await Promise.resolve();
    if (this.hasHistory && this.#position === undefined) await this.#readOn(OLDEST, isWanted);
    if (!isWanted()) return;
    const begun = Date.now();
    const subscriber = {
      open: () => undefined,
      next: (event: ChannelEvent) => {
        // What was lost is not; but some of it may be there.
        if (event.event.type === undefined) this.#take(event, timeOf(event) < begun);
        else void this.#readOn(OLDEST, isWanted);
      },
      complete: () => undefined,
    };
    const { unsubscribe } = this.#channels.subscribe([CONTROL_CHANNEL], subscriber, this.#position);
    listening.unsubscribe = unsubscribe;
    // It may have been paused by what it had missed.
    if (!isWanted()) unsubscribe();
  }

  async #readOn(position: string, isWanted: () => boolean): Promise<void> {
    const page = await this.#reader.readPatiently(CONTROL_CHANNEL, position, { isWanted });
    if (!isWanted()) return;
    for (const event of page.events) this.#take(event, true);
    this.#position = page.end;
    if (page.end !== page.tip) await this.#readOn(page.end, isWanted);
  }

  #take({ event, cursor }: ChannelEvent, isLate: boolean): void {
    if (this.hasHistory) this.#position = cursor;
    const now = Date.now();
    const disconnection = decode(event.data, timeOf({ cursor }), isLate);
    if (!disconnection) return;
    this.#recent = this.#recent.filter(({ heardAt, until }) => Math.max(until, heardAt + PENDING_MS) > now);
    if (disconnection.connection === undefined) this.#recent.push(disconnection);
    this.onDisconnection(disconnection, isLate);
  }
}

/** Whether a disconnection is meant for a reader. */
export function applies(
  { user, channel, connection }: Disconnection,
  { channels, access, connection: own }: Reader,
): boolean {
  if (user !== undefined && user !== userOf(access)) return false;
  if (channel !== undefined && !channels.includes(channel)) return false;
  return connection === undefined || connection === own;
}

/** Whether a credential was issued after a disconnection. */
export function isNewer({ issuedAt }: SseAccess, { at }: Disconnection): boolean {
  return issuedAt !== undefined && issuedAt.getTime() > at;
}

/** When an event was published, by the clock of the broker; without a history, now. */
const timeOf = ({ cursor }: Pick<ChannelEvent, 'cursor'>) => Number(cursor.split('-')[0]) || Date.now();

/** The user as it travels. */
export const userOf = ({ user }: SseAccess): string | undefined =>
  user === undefined ? undefined : String(user);

/** Undefined for what is none: it would be taken for one of everybody. */
function decode(data: unknown, at: number, isLate: boolean): Disconnection | undefined {
  if (typeof data !== 'object' || data === null) return undefined;
  const { user, channel, connection, refuseMs } = data as Record<string, unknown>;
  const names = [user, channel, connection].filter((name) => name !== undefined);
  if (names.length === 0 || names.some((name) => typeof name !== 'string')) return undefined;
  if (typeof refuseMs !== 'number') return undefined;
  const now = Date.now();
  const heardAt = isLate ? Math.min(at, now) : now;
  // Clocks differ: here it is not earlier than there.
  const until = Math.min(at, now) + refuseMs;
  return { user, channel, connection, refuseMs, at, heardAt, until } as Disconnection;
}

function checkTarget(target: DisconnectTarget): DisconnectTarget {
  checkKeys('SSE_INPUT', 'target', target, ['user', 'channel', 'connection']);
  const { user, channel, connection } = target;
  for (const [name, value] of Object.entries(target)) {
    // Without it the call would end more connections than it says.
    if (value === undefined) throw inputError(name, 'left out or given', value);
  }
  if (user === undefined && channel === undefined && connection === undefined) {
    const message = 'Expected `user`, `channel` or `connection` of whom to disconnect, got none';
    throw new SseError('SSE_INPUT', message);
  }
  checkAccess({ user });
  if (connection !== undefined && typeof connection !== 'string') {
    throw inputError('connection', 'an id that `connections()` shows', connection);
  }
  return {
    user: userOf({ user }),
    channel: channel === undefined ? undefined : checkChannel(channel),
    connection,
  };
}
