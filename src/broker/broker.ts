import type { Publication } from '../event/event.js';
import { SseError } from '../common/sse.errors.js';
import type { StoredEvent } from '../event/message.js';
import type { StreamStore } from './streams.js';
import type { TicketStore } from './tickets.js';

/** How long an idempotency key is remembered: 10 minutes. `publish.lua` has the same. */
export const IDEMPOTENCY_MS = 600_000;

/** How long the position of a channel is kept after its last event or read, at least: 24 hours. Also in the scripts. */
export const POSITION_MS = 86_400_000;

/** The same for a channel without publications: 10 minutes, because clients can name any number. Also in `read.lua`. */
export const UNUSED_MS = 600_000;

/** Bounds of a history page: events, and characters after which no further ones are added. Also in `read.lua`. */
export const PAGE_EVENTS = 100;
export const PAGE_BYTES = 524_288;

/** The error of publications after `close()`. */
export const closedError = (): SseError =>
  new SseError('SSE_UNAVAILABLE', 'Not published: the application is closing');

/** The public id of an event of a list, or why it is not confirmed. */
export type PublishOutcome = string | SseError;

/** Receives one channel of a broker. Its methods must not throw. */
export interface ChannelListener {
  /**
   * The subscription is live: every message from now on arrives. Called again after each interruption; messages
   * of the time between did not arrive, and have to be read with `read()`.
   */
  onSubscribed(): void;
  /** The subscription is interrupted: nothing arrives until `onSubscribed()` is called again. */
  onInterrupted(): void;
  /** A live message as text (`docs/wire-format.md`), in the order of the channel, at most once. */
  onMessage(text: string): void;
}

/** An internal channel: channels of applications cannot have such a name. */
export const CONTROL_CHANNEL = '!disconnect';
/** Its history, independent of the option `history`. */
export const CONTROL_KEEPS = Object.freeze({ maxEvents: 100_000, maxAgeMs: 3_600_000 });

/**
 * The position before the oldest stored event. It has the shape of a cursor, but a client cannot use it: ids that begin
 * with 0 are no positions.
 */
export const OLDEST = '0000000000-0';

/** One read counts no further than this against the bounds, so that Redis is not blocked for long. Also in `read.lua`. */
export const COUNTED = Object.freeze({ events: 20_000, size: 16_777_216 });

/** Limits of what one client gets when it reconnects. */
export interface ReplayBounds {
  readonly events: number;
  /** Bytes of their JSON; in memory characters. */
  readonly size: number;
}

/** In place of a position: the one before the newest `newest` events. */
export interface Newest {
  readonly newest: number;
}

/** A history page: a part of the chain, without a gap. */
export interface Page {
  /** The cursor of the channel's last event; in a channel without events, a cursor that marks its beginning. */
  readonly tip: string;
  /** The cursor before the page: of the first known one of the given positions. Undefined if none is known. */
  readonly after?: string;
  /** The events after it, oldest first. Events of a newer version that this one cannot read are left out. */
  readonly events: readonly StoredEvent[];
  /** The position after the page. If it is not the tip, there is more. */
  readonly end: string;
  /** More follows the position than the bounds allow. `events` is then empty. */
  readonly isTooMuch?: true;
  /** More of the newest events were asked for and are stored than the bounds allow. */
  readonly isTruncated?: true;
}

/**
 * - `up`: events can be published and received.
 * - `down`: the broker, or a part of it that has channels, is unreachable.
 * - `deaf`: the broker accepts events, but they do not arrive.
 */
export type BrokerState = 'up' | 'down' | 'deaf';

/**
 * The contract between channels and the store that carries their events between processes.
 *
 * Each channel is a chain of events. A cursor is the position of one event: `<ms>-<n>`, strictly increasing
 * along the chain and not used again, even after the store lost its data (except for a chance of 2⁻²⁰ in an equal
 * millisecond). Every event has its own cursor and the one before it, so a subscriber that knows the last cursor sees
 * every gap, and a client with a cursor of the chain has missed exactly the events after it. Publishing is atomic:
 * no other event comes between choosing the cursor, storing and sending.
 *
 * A broker without history only sends: events have no cursors, and nothing is read.
 *
 * A broker catches exceptions of its listeners, so that they do not break its connection.
 */
export abstract class SseBroker {
  abstract readonly state: BrokerState;

  /** Its streams. Without history there are none. */
  abstract readonly streams: StreamStore;

  /** Its tickets. They need no history. */
  abstract readonly tickets: TicketStore;

  /** Whether no other process can publish. */
  readonly isLocal: boolean = false;

  /** Whether events can be published and received right now. */
  get connected(): boolean {
    return this.state === 'up';
  }

  /**
   * Gives the event its cursor, stores it, and sends it to every subscriber. Publications of one process
   * to one channel take effect in call order, and each exactly once, also after retries.
   *
   * @returns the event's public id, once it is confirmed; '' if it has none
   * @throws SseError `SSE_UNAVAILABLE` within 5 s without a confirmation; `mayBePublished` says whether it was sent
   */
  abstract publish(channel: string, publication: Publication): Promise<string>;

  /**
   * Publishes events of one channel, in this order, as `publish()` does with each. Up to 1,000 events and 1 Mi characters are published
   * together: all of them, or none. Of a longer list, no event is stored after one that is not.
   *
   * @returns the outcome of each event, once all are known
   */
  abstract publishAll(channel: string, publications: readonly Publication[]): Promise<PublishOutcome[]>;

  /** Subscribes to a channel; one listener per channel. Retries until it succeeds, or until `unsubscribe()`. */
  abstract subscribe(channel: string, listener: ChannelListener): void;

  /** Ends the subscription: its listener is not called again. */
  abstract unsubscribe(channel: string): void;

  /**
   * Reads the tip of a channel, and the events after a position: a cursor, or a publisher's own id (then of the
   * earliest event with that id). A cursor is known while it is the tip, or its event, or the next one, is stored.
   *
   * @param positions any number of cursors (or `OLDEST`), in order of preference, or one publisher's id; or how many of the newest
   *   events: the position is then before as many of them as the bounds allow
   * @param limit how many events at most; fewer come when they are large
   * @param bounds on all events after the position, up to `COUNTED`; beyond them the page is empty
   * @throws SseError `SSE_UNAVAILABLE`
   */
  abstract read(
    channel: string,
    positions: readonly string[] | Newest,
    limit: number,
    bounds?: ReplayBounds,
  ): Promise<Page>;

  /**
   * The clock of a channel's cursors, in ms.
   *
   * @throws SseError `SSE_UNAVAILABLE`
   */
  now(_channel: string): Promise<number> {
    return Promise.resolve(Date.now());
  }

  /** The name of the server that has a channel. Reads are limited for each server, so a hung server delays only its own channels. */
  serverOf(_channel: string): string {
    return '';
  }

  /** Accepts no more publications, and ends all subscriptions and the connections of the broker. */
  abstract close(): Promise<void>;
}
