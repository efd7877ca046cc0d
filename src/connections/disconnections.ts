import { randomBytes } from 'node:crypto';
import { type ChannelListener, CONTROL_CHANNEL, OLDEST, type SseBroker } from '../broker/broker.js';
import { HistoryReader } from '../channel/history-reader.js';
import { FailureLog } from '../common/failure-log.js';
import { checkPublication } from '../event/event.js';
import { decodeMessage, type Message } from '../event/message.js';
import { ClockSkew } from './clock-skew.js';
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

/** Calls that wait to arrive here. */
const MAX_CALLS = 10_000;
/** How long this node listens after its last connection has ended: most clients reconnect within that time. */
const LINGER_MS = 10_000;
/** How often the position is compared with the store's, in ms: the last message may have been lost. */
const AUDIT_MS = 30_000;

/** The state while this node has connections. */
interface Listening {
  /** Resolves once all earlier disconnections are known; absent from then on. */
  caughtUp?: Promise<void>;
  /** When that was. Earlier disconnections are late; until then, all are. */
  since: number;
  linger?: NodeJS.Timeout;
  audit?: NodeJS.Timeout;
}

/**
 * The calls of `disconnect()` on all nodes.
 *
 * They are events of an internal channel. A node that lost Redis, or has just started, reads the ones that it missed.
 */
export class Disconnections implements ChannelListener {
  readonly #reader: HistoryReader;
  readonly #refusals = new Refusals();
  readonly #failures = new FailureLog();
  /** Calls of this node that have not both returned and arrived here: how many connections each has ended. */
  readonly #calls = new Map<string, number | undefined>();
  /** The cursor of the last disconnection that was applied. */
  #position: string = OLDEST;
  #listening: Listening | undefined;
  #reading: Promise<void> | undefined;
  /** Whether something arrived during the read that may not be part of it. */
  #readAgain = false;
  readonly #skew: ClockSkew;

  constructor(
    private readonly broker: SseBroker,
    private readonly hasHistory: boolean,
    /**
     * Ends the connections to which a disconnection applies.
     *
     * @param isLate whether it was made before this node began to listen
     * @returns how many
     */
    private readonly onDisconnection: (disconnection: Disconnection, isLate: boolean) => number,
  ) {
    this.#reader = new HistoryReader(broker);
    this.#skew = new ClockSkew(
      () => broker.now(CONTROL_CHANNEL),
      (error) => this.#report(error),
    );
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
    // Without connections this node does not listen, so its own calls do not arrive.
    if (this.#calls.size > MAX_CALLS) this.#calls.delete(this.#calls.keys().next().value!);
    // The message may still be in flight. JSON leaves out undefined members.
    return this.#apply(JSON.parse(JSON.stringify(data)), Date.now(), false);
  }

  /** For how long a connection may not open, by all that is known, in ms. */
  refusedMs(reader: Reader): number {
    return this.#refusals.refusedMs(reader);
  }

  /**
   * Listens from now on, until `pause()`.
   *
   * @returns a promise that resolves once all earlier disconnections are known; undefined if they are already
   */
  listen(): Promise<void> | undefined {
    if (!this.#listening) {
      const listening: Listening = { since: Infinity };
      this.#listening = listening;
      listening.caughtUp = this.#listen(listening);
    }
    clearTimeout(this.#listening.linger);
    // In one process, or without history, there is nothing to read.
    return this.broker.isLocal || !this.hasHistory ? undefined : this.#listening.caughtUp;
  }

  /** Stops listening after a while: without connections there is nothing to end. */
  pause(): void {
    if (!this.#listening) return;
    clearTimeout(this.#listening.linger);
    this.#listening.linger = setTimeout(() => this.close(), LINGER_MS).unref();
  }

  close(): void {
    if (!this.#listening) return;
    clearTimeout(this.#listening.linger);
    clearInterval(this.#listening.audit);
    this.#listening = undefined;
    this.broker.unsubscribe(CONTROL_CHANNEL);
  }

  onSubscribed(): void {
    if (this.hasHistory) void this.#catchUp();
  }

  onInterrupted(): void {
    // `onSubscribed()` reads what is missed until then.
  }

  onMessage(text: string): void {
    const message = decodeMessage(text);
    if (!message) return;
    const { cursor, prev } = message;
    if (!this.hasHistory || cursor === undefined) this.#take(message);
    else if (!this.#reading && prev === this.#position) this.#take(message);
    else if (cursor !== this.#position) void this.#catchUp();
  }

  async #listen(listening: Listening): Promise<void> {
    const isWanted = () => this.#listening === listening;
    if (this.hasHistory && this.#skew.isStale) await this.#skew.measure(isWanted);
    const since = Date.now();
    if (this.hasHistory) await this.#catchUp();
    if (!isWanted()) return;
    // Later disconnections arrive within a second, and end the connections that are open by then.
    listening.caughtUp = undefined;
    listening.since = since;
    if (this.hasHistory) listening.audit = setInterval(() => void this.#audit(), AUDIT_MS).unref();
    this.broker.subscribe(CONTROL_CHANNEL, this);
  }

  /** Reads only the tip: a failing read must not hold back live messages. */
  async #audit(): Promise<void> {
    const reading = this.#reader.read(CONTROL_CHANNEL, [], { purpose: 'audit', limit: 0 });
    const page = await reading.catch(() => undefined);
    if (page && page.tip !== this.#position && this.#listening) void this.#catchUp();
  }

  /** Reads what is missing. Messages that arrive in the meantime are read, too, so each is applied once and in order. */
  #catchUp(): Promise<void> {
    this.#readAgain = true;
    this.#reading ??= this.#readAll().finally(() => {
      this.#reading = undefined;
      // This node may have begun to listen again as the read ended.
      if (this.#readAgain && this.#listening) return this.#catchUp();
      return undefined;
    });
    return this.#reading;
  }

  async #readAll(): Promise<void> {
    while (this.#readAgain && this.#listening) {
      this.#readAgain = false;
      await this.#readFrom(this.#position);
    }
  }

  async #readFrom(position: string, isLate?: true): Promise<void> {
    const page = await this.#reader.readPatiently(CONTROL_CHANNEL, [position], {
      purpose: 'open',
      isWanted: () => this.#listening !== undefined,
      onError: (error) => this.#report(error),
    });
    if (!page) return;
    // The position was lost. Some of the disconnections behind it may be kept; others repeat.
    if (page.after === undefined && position !== OLDEST) return this.#readFrom(OLDEST, true);
    for (const event of page.events) this.#take(event, isLate);
    this.#position = page.end;
    if (page.end !== page.tip) await this.#readFrom(page.end, isLate);
  }

  #take({ json, cursor }: Pick<Message, 'json' | 'cursor'>, isLate?: true): void {
    if (cursor !== undefined) this.#position = cursor;
    const time = Number(cursor?.split('-')[0] ?? 0);
    const at = time > 0 ? this.#skew.toLocal(time) : Date.now();
    this.#apply(JSON.parse(json), at, isLate ?? at < (this.#listening?.since ?? at));
    if (this.hasHistory && this.#skew.isStale) void this.#skew.measure(() => this.#listening !== undefined);
  }

  /** @returns how many connections it has ended, now or when it arrived first */
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

  /** Explains why no connection opens, for example because an ACL does not allow the read. */
  #report(error: Error): void {
    // The broker reports an outage itself.
    if (!this.broker.connected) return;
    this.#failures.error(
      'disconnections',
      `No connection opens, as disconnections cannot be read: ${error.message}`,
    );
  }
}
