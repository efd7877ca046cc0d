import { randomInt } from 'node:crypto';
import type { Publication } from '../event.js';
import { type ChannelListener, IDEMPOTENCY_MS, POSITION_MS, SseBroker } from './broker.js';
import { completeBody, encodeBody } from './message.js';

/**
 * Carries events inside one process. It does in a few lines what the Redis broker does in a script, messages
 * included: subscribers get their own copy of the data, and see the same bytes with either broker.
 */
export class MemorySseBroker extends SseBroker {
  readonly connected = true;
  readonly #positions = new ExpiringMap(POSITION_MS);
  readonly #published = new ExpiringMap(IDEMPOTENCY_MS);
  readonly #listeners = new Map<string, ChannelListener>();

  async publish(channel: string, publication: Publication): Promise<string> {
    const body = encodeBody(publication);
    if (publication.transient) {
      this.#send(channel, body);
      return '';
    }
    const { id, idempotencyKey } = publication;
    const key = idempotencyKey === undefined ? undefined : `${channel} ${idempotencyKey}`;
    const first = key === undefined ? undefined : this.#published.get(key);
    if (first !== undefined) return first;
    const prev = this.#positions.get(channel);
    const cursor = nextCursor(prev);
    this.#positions.set(channel, cursor);
    if (key !== undefined) this.#published.set(key, id ?? cursor);
    this.#send(channel, completeBody(body, { cursor, prev, id }));
    return id ?? cursor;
  }

  subscribe(channel: string, listener: ChannelListener): void {
    this.#listeners.set(channel, listener);
    void this.position(channel);
    queueMicrotask(() => {
      if (this.#listeners.get(channel) === listener) listener.onSubscribed();
    });
  }

  unsubscribe(channel: string): void {
    this.#listeners.delete(channel);
  }

  async position(channel: string): Promise<string> {
    const position = this.#positions.get(channel) ?? nextCursor(undefined);
    this.#positions.set(channel, position);
    return position;
  }

  async close(): Promise<void> {
    this.#listeners.clear();
  }

  /** In a microtask, so that an event published from within a subscriber comes after the one being delivered. */
  #send(channel: string, text: string): void {
    const listener = this.#listeners.get(channel);
    queueMicrotask(() => {
      if (listener && this.#listeners.get(channel) === listener) listener.onMessage(text);
    });
  }
}

/** Strings that are forgotten some time after they were last set. As that time is one for all, the oldest go first. */
class ExpiringMap {
  readonly #entries = new Map<string, { value: string; expires: number }>();

  constructor(private readonly ttlMs: number) {}

  get(key: string): string | undefined {
    const entry = this.#entries.get(key);
    return entry && entry.expires > Date.now() ? entry.value : undefined;
  }

  set(key: string, value: string): void {
    for (const [oldest, { expires }] of this.#entries) {
      if (expires > Date.now()) break;
      this.#entries.delete(oldest);
    }
    this.#entries.delete(key);
    this.#entries.set(key, { value, expires: Date.now() + this.ttlMs });
  }
}

/** The rule of `publish.lua`: the clock, or the last cursor's millisecond where the clock went back. */
function nextCursor(prev: string | undefined): string {
  const [prevMs, prevN] = prev === undefined ? [0, 0] : (prev.split('-').map(Number) as [number, number]);
  const now = Date.now();
  return now > prevMs ? `${now}-${randomInt(2 ** 20)}` : `${prevMs}-${prevN + 1}`;
}
