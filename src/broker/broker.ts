import type { Publication } from '../event.js';

/** How long an idempotency key is remembered: 10 minutes. */
export const IDEMPOTENCY_MS = 600_000;

/** How long the position of a channel is kept after its last event or subscription: 24 hours. */
export const POSITION_MS = 86_400_000;

/** Receives one channel of a broker. Its methods must not throw. */
export interface ChannelListener {
  /**
   * The subscription is live: every message from now on arrives. Called again after each interruption; what was
   * published in between did not arrive, and only `position()` tells whether there was anything.
   */
  onSubscribed(): void;
  /** The subscription is interrupted: nothing arrives until `onSubscribed()` is called again. */
  onInterrupted(): void;
  /** A live message as text (`docs/wire-format.md`), in the order of the channel, at most once. */
  onMessage(text: string): void;
}

/**
 * The contract between channels and what carries them between processes.
 *
 * Each channel is a chain of events. A cursor is the place of one event in it: `<ms>-<n>`, strictly increasing
 * along the chain and not used again, even after the store lost its memory (but for a chance of 2⁻²⁰ in an equal
 * millisecond). Every message names its own cursor and the one before it, so whoever holds the last cursor sees
 * every gap. Publishing is atomic: no other event comes between the giving of a cursor and the sending.
 *
 * A broker never throws from, and never lets an exception of, a listener out into its connection.
 */
export abstract class SseBroker {
  /** Whether events can be published and received right now. */
  abstract readonly connected: boolean;

  /**
   * Gives the event its place in the channel and sends it to every subscriber. Publications of one process to one
   * channel take effect in the order of the calls.
   *
   * @returns the event's public id, once it is accepted; '' if transient
   * @throws SseError `SSE_UNAVAILABLE` within 5 s when it was not confirmed; `mayBePublished` says whether it was sent
   */
  abstract publish(channel: string, publication: Publication): Promise<string>;

  /** Starts to receive a channel; one listener per channel. Tries until it succeeds, or until `unsubscribe()`. */
  abstract subscribe(channel: string, listener: ChannelListener): void;

  /** Stops to receive a channel: its listener is not called again. */
  abstract unsubscribe(channel: string): void;

  /**
   * The cursor of the channel's last event. A channel without any gets one that marks its beginning, so that a
   * subscriber always has a place to come back to. To a listener of the channel, every message up to that cursor
   * has been delivered when this returns: what comes later, comes after it.
   *
   * @throws SseError `SSE_UNAVAILABLE`
   */
  abstract position(channel: string): Promise<string>;

  /** Ends all subscriptions, and the connections the broker itself has opened. */
  abstract close(): Promise<void>;
}
