import { encodePack, encodeStreamEnd } from '../../event/message.js';
import { elementsOf } from '../../event/json.js';
import type {
  OwnedState,
  SseStreamEnd,
  StreamAppend,
  StreamStart,
  StreamState,
  StreamStore,
} from '../streams.js';
import { channelError } from '../streams.js';
import { Chain } from './chain.js';
import { nextCursor } from './cursor.js';

/** What a stream needs of the broker. */
interface Channels {
  /** The position of a channel. */
  tip(channel: string): string;
  hasEvents(channel: string): boolean;
  send(channel: string, text: string): void;
  /** What will expire is to be freed, from time to time. */
  sweep(): void;
}

interface Stream extends Omit<StreamStart, 'replaces'> {
  readonly chain: Chain;
  readonly generation: string;
  tip: string;
  number: number;
  /** Until when it is leased, watched and kept, by a monotonic clock. */
  lease: number;
  watched: number;
  expires: number;
  end?: SseStreamEnd;
  abort?: string;
}

/** Streams in one process. It does what `stream.lua` does in Redis; each event is a pack of its own. */
export class MemoryStreams implements StreamStore {
  readonly #all = new Map<string, Stream>();

  constructor(private readonly channels: Channels) {}

  async start(channel: string, start: StreamStart): Promise<StreamState> {
    const { owner, leaseMs, keepMs, replaces, needsReaders } = start;
    this.channels.sweep();
    const [known, isLost] = this.#find(channel);
    if (known?.owner === owner) return stateOf(known, isLost);
    if (known && !known.end) {
      if (!replaces) return stateOf(known, isLost);
      this.#finish(channel, known, { status: 'aborted', reason: 'replaced' });
    }
    if (!known && this.channels.hasEvents(channel)) throw channelError(channel);
    const prev = this.channels.tip(channel);
    const generation = nextCursor(prev);
    const watched = performance.now() + 2 * leaseMs;
    const own = { owner, leaseMs, keepMs, needsReaders, generation, tip: generation, number: 0 };
    const stream: Stream = { ...own, chain: new Chain(), lease: 0, watched, expires: 0 };
    renew(stream);
    this.#all.set(channel, stream);
    this.channels.send(channel, encodePack('[]', { cursor: generation, prev }));
    return stateOf(stream, isLost);
  }

  async append(channel: string, append: StreamAppend): Promise<OwnedState | undefined> {
    const { owner, number, packs, end } = append;
    const [stream, isLost] = this.#find(channel);
    if (!stream || stream.owner !== owner || stream.end) return stream && stateOf(stream, isLost);
    renew(stream);
    for (const { events } of packs.slice(stream.number - number + 1)) {
      for (const event of elementsOf(events)) this.#store(channel, stream, event);
      stream.number++;
    }
    if (end) close(stream, end);
    return stateOf(stream, isLost);
  }

  async look(channel: string, hasReaders: boolean): Promise<StreamState | undefined> {
    const [stream, isLost] = this.#find(channel);
    if (stream && hasReaders) stream.watched = performance.now() + 2 * stream.leaseMs;
    return stream && stateOf(stream, isLost);
  }

  async abort(channel: string, reason: string): Promise<StreamState | undefined> {
    const [stream, isLost] = this.#find(channel);
    if (stream && !stream.end) stream.abort ??= reason;
    return stream && stateOf(stream, isLost);
  }

  /** The stored events of a stream, and its tip; undefined for another channel. */
  get(channel: string): { readonly chain: Chain; readonly tip: string } | undefined {
    return this.#kept(channel);
  }

  forget(channel: string): void {
    this.#all.delete(channel);
  }

  expire(): void {
    for (const channel of this.#all.keys()) this.#kept(channel);
  }

  /** The stream, and whether this call has ended it as lost. */
  #find(channel: string): [Stream | undefined, boolean] {
    const stream = this.#kept(channel);
    const isLost = stream !== undefined && !stream.end && stream.lease < performance.now();
    if (isLost) this.#finish(channel, stream, { status: 'lost', reason: 'lease' });
    return [stream, isLost];
  }

  #kept(channel: string): Stream | undefined {
    const stream = this.#all.get(channel);
    if (!stream || stream.expires > performance.now()) return stream;
    this.#all.delete(channel);
    return undefined;
  }

  #finish(channel: string, stream: Stream, end: SseStreamEnd): void {
    this.#store(channel, stream, encodeStreamEnd(JSON.stringify(end)));
    close(stream, end);
  }

  #store(channel: string, stream: Stream, event: string): void {
    const [prev, cursor] = [stream.tip, nextCursor(stream.tip)];
    const text = encodePack(`[${event}]`, { first: cursor, cursor, prev });
    stream.chain.push({ cursor, prev, text });
    stream.tip = cursor;
    this.channels.send(channel, text);
  }
}

function renew(stream: Stream): void {
  stream.lease = performance.now() + stream.leaseMs;
  stream.expires = stream.lease + stream.leaseMs + stream.keepMs;
}

function close(stream: Stream, end: SseStreamEnd): void {
  stream.end = end;
  stream.expires = performance.now() + stream.keepMs;
}

function stateOf(stream: Stream, isLost: boolean): StreamState {
  const { generation, tip, owner, number, end, abort, lease, watched, needsReaders } = stream;
  const now = performance.now();
  const leftMs = Math.max(0, Math.ceil(lease - now));
  const isWatched = !needsReaders || watched > now;
  return {
    generation,
    tip,
    leftMs,
    owner,
    number,
    ...(end && { end }),
    ...(abort && { abort }),
    isWatched,
    isLost,
  };
}
