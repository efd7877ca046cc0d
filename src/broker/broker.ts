import type { Publication } from '../event.js';
import { SseError } from '../sse.errors.js';
import type { StoredEvent } from './message.js';

/** How long an idempotency key is remembered: 10 minutes. `publish.lua` has the same. */
export const IDEMPOTENCY_MS = 600_000;

/** How long the position of a channel is kept after its last event or reader, at least: 24 hours. Also in the scripts. */
export const POSITION_MS = 86_400_000;

/** The same of a channel that nothing was published to, of which there may be any number: 10 minutes. Also in `read.lua`. */
export const UNUSED_MS = 600_000;

/** Bounds of one page of history: events, and characters beyond which no further ones are added. Also in `read.lua`. */
export const PAGE_EVENTS = 100;
export const PAGE_BYTES = 524_288;

/** For what is published after `close()`. */
export const closedError = (): SseError =>
  new SseError('SSE_UNAVAILABLE', 'Not published: the application is closing');

/** Receives one channel of a broker. Its methods must not throw. */
export interface ChannelListener {
  /**
   * The subscription is live: every message from now on arrives. Called again after each interruption; what was
   * published in between did not arrive, and only `read()` tells what it was.
   */
  onSubscribed(): void;
  /** The subscription is interrupted: nothing arrives until `onSubscribed()` is called again. */
  onInterrupted(): void;
  /** A live message as text (`docs/wire-format.md`), in the order of the channel, at most once. */
  onMessage(text: string): void;
}

/** A channel of the module's own: no channel of a user's can have such a name. */
export const CONTROL_CHANNEL = '!disconnect';
/** What it keeps, whatever is set for the others. */
export const CONTROL_KEEPS = Object.freeze({ maxEvents: 100_000, maxAgeMs: 3_600_000 });

/**
 * The position before the oldest event that is kept. In the shape of a cursor, but none: what a client sends is not
 * taken for one that begins with 0.
 */
export const OLDEST = '0000000000-0';

/** One read counts no further than this against the bounds, so that Redis is not blocked for long. Also in `read.lua`. */
export const COUNTED = Object.freeze({ events: 20_000, size: 16_777_216 });

/** How much one client gets when it reconnects. */
export interface ReplayBounds {
  readonly events: number;
  /** Bytes of their JSON; in memory characters. */
  readonly size: number;
}

/** What `read()` found: a part of the chain, without a gap. */
export interface Page {
  /** The cursor of the channel's last event. A channel without any has one that marks its beginning. */
  readonly tip: string;
  /** The cursor from which the page goes on: of the first position asked for that is known. */
  readonly after?: string;
  /** The events behind it, oldest first. Those that a newer version has stored, and this one cannot read, are left out. */
  readonly events: readonly StoredEvent[];
  /** How far the page goes: to the tip, or there is more. */
  readonly end: string;
  /** More follows the position than the bounds allow. `events` is then empty. */
  readonly isTooMuch?: true;
}

/**
 * - `up`: events can be published and received.
 * - `down`: the broker is out of reach, or a part of it that has channels.
 * - `deaf`: events can be published, and do not arrive, although the broker is in reach.
 */
export type BrokerState = 'up' | 'down' | 'deaf';

/**
 * The contract between channels and what carries and keeps them between processes.
 *
 * Each channel is a chain of events. A cursor is the place of one event in it: `<ms>-<n>`, strictly increasing
 * along the chain and not used again, even after the store lost its memory (but for a chance of 2⁻²⁰ in an equal
 * millisecond). Every event names its own cursor and the one before it, so whoever holds the last cursor sees
 * every gap, and whoever holds a cursor that is in the chain has missed exactly what follows. Publishing is atomic:
 * no other event comes between the giving of a cursor, the storing and the sending.
 *
 * A broker that was made without history only sends: nothing has a cursor, and nothing is read.
 *
 * A broker never throws from, and never lets an exception of, a listener out into its connection.
 */
export abstract class SseBroker {
  abstract readonly state: BrokerState;

  /** Whether nothing is published by other processes. */
  readonly isLocal: boolean = false;

  /** Whether events can be published and received right now. */
  get connected(): boolean {
    return this.state === 'up';
  }

  /**
   * Gives the event its place in the channel, keeps it, and sends it to every subscriber. Publications of one process
   * to one channel take effect in the order of the calls, and each once, also where the broker had to try again.
   *
   * @returns the event's public id, once it is accepted; '' if it has none
   * @throws SseError `SSE_UNAVAILABLE` within 5 s when it was not confirmed; `mayBePublished` says whether it was sent
   */
  abstract publish(channel: string, publication: Publication): Promise<string>;

  /** Starts to receive a channel; one listener per channel. Tries until it succeeds, or until `unsubscribe()`. */
  abstract subscribe(channel: string, listener: ChannelListener): void;

  /** Stops to receive a channel: its listener is not called again. */
  abstract unsubscribe(channel: string): void;

  /**
   * Reads where the channel is, and what follows a position: a cursor, or an id that a publisher gave (then of the
   * earliest event that has it). A cursor is known while it is the tip, its event is kept, or the one after it is.
   *
   * @param positions any number of cursors (or `OLDEST`), the most wanted first, or one publisher's id
   * @param limit how many events at most; fewer come when they are large
   * @param bounds on everything after the position, up to `COUNTED`; no page of more is returned
   * @throws SseError `SSE_UNAVAILABLE`
   */
  abstract read(
    channel: string,
    positions: readonly string[],
    limit: number,
    bounds?: ReplayBounds,
  ): Promise<Page>;

  /**
   * The clock by which the cursors of a channel are made, in ms.
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

  /** Takes no more publications, and ends all subscriptions, and the connections the broker itself has opened. */
  abstract close(): Promise<void>;
}
