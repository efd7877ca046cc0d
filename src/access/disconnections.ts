import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { CONTROL_CHANNEL, OLDEST, type SseBroker } from '../broker/broker.js';
import type { ChannelEvent } from '../channel/channel-event.js';
import { Channels } from '../channel/channels.js';
import { HistoryReader } from '../channel/history-reader.js';
import { checkPublication } from '../event.js';
import { FailureLog } from '../limiter.js';
import { HISTORY_DEFAULTS } from '../sse.options.js';
import {
  checkRefuseMs,
  checkTarget,
  decode,
  type Disconnection,
  type DisconnectTarget,
  encode,
  type Reader,
} from './disconnection.js';
import { Refusals } from './refusals.js';

/** Nobody may miss one of them for the bounds that are set for others. */
const HISTORY = { ...HISTORY_DEFAULTS, maxReplayEvents: 100_000 };
/** For how long the measured difference of two clocks is taken to hold. */
const SKEW_MS = 60_000;
const RETRY_MS = [10, 1_000] as const;
/** Calls that are remembered until they are heard. */
const MAX_CALLS = 10_000;

/** While this node has connections. */
interface Listening {
  /** Resolves once all that was said before is known; absent from then on. */
  caughtUp?: Promise<void>;
  unsubscribe(): void;
}

/**
 * The calls of `disconnect()` on all nodes.
 *
 * They are events of a channel of the module's own, so none is missed by a node that loses its connection to Redis for a
 * while; one that begins to listen reads those that are kept.
 */
export class Disconnections {
  readonly #channels: Channels;
  readonly #reader: HistoryReader;
  readonly #refusals = new Refusals();
  readonly #failures = new FailureLog();
  /** Calls of this node that have not both returned and been heard here: how many connections each has ended. */
  readonly #calls = new Map<string, number | undefined>();
  /** How far this node has listened. */
  #position: string = OLDEST;
  #listening: Listening | undefined;
  /** By how much the clock of this node is ahead of the broker's, at most. */
  #skewMs = Infinity;
  #measuredAt = -Infinity;

  constructor(
    private readonly broker: SseBroker,
    private readonly hasHistory: boolean,
    /**
     * Ends what a disconnection is meant for.
     *
     * @param isLate whether it was made before this node began to listen
     * @returns how many
     */
    private readonly onDisconnection: (disconnection: Disconnection, isLate: boolean) => number,
  ) {
    this.#channels = new Channels(broker, hasHistory && HISTORY);
    this.#reader = new HistoryReader(broker);
  }

  /**
   * @returns how many connections it has ended on this node
   * @throws SseError `SSE_INPUT`, `SSE_UNAVAILABLE`
   */
  async publish(target: DisconnectTarget, refuseMs?: number): Promise<number> {
    const checked = checkTarget(target);
    const call = randomBytes(9).toString('base64url');
    const data = encode(checked, checkRefuseMs(checked, refuseMs), call);
    this.#calls.set(call, undefined);
    try {
      await this.broker.publish(CONTROL_CHANNEL, checkPublication(data, {}, Infinity));
    } catch (error) {
      this.#calls.delete(call);
      throw error;
    }
    // Those that are not heard, as nobody listens.
    if (this.#calls.size > MAX_CALLS) this.#calls.delete(this.#calls.keys().next().value!);
    // It need not have been heard yet. JSON leaves out what is undefined.
    return this.#apply(JSON.parse(JSON.stringify(data)), Date.now(), false);
  }

  /** For how long a connection may not open, by all that is known, in ms. */
  refusedMs(reader: Reader): number {
    return this.#refusals.refusedMs(reader);
  }

  /**
   * Listens from now on, until it is paused.
   *
   * @returns when all that was said before is known; undefined if it is, as where no other process has said anything
   */
  listen(): Promise<void> | undefined {
    if (!this.#listening) {
      const listening: Listening = { unsubscribe: () => undefined };
      this.#listening = listening;
      listening.caughtUp = this.#listen(listening);
    }
    // Without a history there is nothing to be read.
    return this.broker.isLocal || !this.hasHistory ? undefined : this.#listening.caughtUp;
  }

  /** Without connections, there is nothing to be subscribed for. */
  pause(): void {
    this.#listening?.unsubscribe();
    this.#listening = undefined;
  }

  close(): void {
    this.pause();
    this.#channels.close();
  }

  async #listen(listening: Listening): Promise<void> {
    const isWanted = () => this.#listening === listening;
    await this.#measure(isWanted);
    const begun = Date.now();
    if (this.hasHistory) await this.#readOn(this.#position, isWanted);
    if (!isWanted()) return;
    // What is said from now on is heard within a second, and ends what is open by then.
    listening.caughtUp = undefined;
    const subscriber = {
      open: () => undefined,
      next: (event: ChannelEvent) => {
        // What was lost is not known; but some of it may be there.
        if (event.event.type !== undefined) void this.#readOn(OLDEST, isWanted);
        else this.#take(event, (at) => at < begun);
      },
      complete: () => undefined,
    };
    const position = this.hasHistory ? this.#position : undefined;
    const { unsubscribe } = this.#channels.subscribe([CONTROL_CHANNEL], subscriber, position);
    listening.unsubscribe = unsubscribe;
    // It may have been paused by what it had missed.
    if (!isWanted()) unsubscribe();
  }

  /** Takes what was said after a position. */
  async #readOn(position: string, isWanted: () => boolean): Promise<void> {
    const page = await this.#reader.readPatiently(CONTROL_CHANNEL, [position], {
      purpose: 'open',
      isWanted,
      onError: (error) => this.#report(error),
    });
    if (!page || !isWanted()) return;
    // Some of what followed may be kept although the position is not.
    if (page.after === undefined && position !== OLDEST) return this.#readOn(OLDEST, isWanted);
    for (const event of page.events) this.#take(event, () => true);
    this.#position = page.end;
    if (page.end !== page.tip) await this.#readOn(page.end, isWanted);
  }

  #take({ event, cursor }: ChannelEvent, isLate: (at: number) => boolean): void {
    if (this.hasHistory) this.#position = cursor;
    const now = Date.now();
    const time = Number(cursor.split('-')[0]);
    // It was made before it is heard of.
    if (time > 0) this.#skewMs = Math.min(this.#skewMs, now - time);
    const at = time > 0 ? time + this.#skewMs : now;
    this.#apply(event.data, at, isLate(at));
    if (now - this.#measuredAt > SKEW_MS) void this.#measure(() => this.#listening !== undefined);
  }

  /** @returns how many connections it has ended, now or when it was first heard of */
  #apply(data: unknown, at: number, isLate: boolean): number {
    const disconnection = decode(data, at, isLate ? at : Date.now());
    if (!disconnection) return 0;
    const { call = '' } = disconnection;
    const ended = this.#calls.get(call);
    if (ended !== undefined) {
      this.#calls.delete(call);
      return ended;
    }
    this.#refusals.add(disconnection);
    const count = this.onDisconnection(disconnection, isLate);
    if (this.#calls.has(call)) this.#calls.set(call, count);
    return count;
  }

  /** Without this line, connections would wait in silence for rights that nobody knows are missing. */
  #report(error: Error): void {
    // The broker reports an outage itself.
    if (!this.broker.connected) return;
    this.#failures.error(
      'disconnections',
      `No connection opens, as disconnections cannot be read: ${error.message}`,
    );
  }

  /** Credentials are dated by the clocks of nodes, disconnections by the broker's. */
  async #measure(isWanted: () => boolean): Promise<void> {
    if (!this.hasHistory) return;
    if (this.#skewMs < Infinity && Date.now() - this.#measuredAt < SKEW_MS) return;
    const [first, last] = RETRY_MS;
    this.#measuredAt = Date.now();
    for (let delay: number = first; isWanted(); delay = Math.min(2 * delay, last)) {
      try {
        const time = await this.broker.now(CONTROL_CHANNEL);
        this.#measuredAt = Date.now();
        this.#skewMs = this.#measuredAt - time;
        return;
      } catch (error) {
        this.#report(error as Error);
        await sleep(delay * (1 + Math.random()), undefined, { ref: false });
      }
    }
    this.#measuredAt = -Infinity;
  }
}
