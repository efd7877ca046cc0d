import { type ChannelEvent, openingEvent, resetEvent, withId } from '../channel/channel-event.js';
import type { Subscriber } from '../channel/subscribers.js';
import type { SseEvent } from '../event/event.js';

/** A consumer with more unread events, or characters of JSON, catches up from the history: no more than a page waits for it. */
const [MAX_UNREAD, MAX_UNREAD_SIZE] = [100, 524_288];
/** Beyond these bounds, events that are not stored are dropped. */
const [MAX_LIVE, MAX_LIVE_SIZE] = [1_024, 1_048_576];

interface Unread {
  readonly event: ChannelEvent | SseEvent;
  /** The position of the connection after the event, if it differs from the event's id. */
  readonly id?: string;
  readonly size: number;
  /** For the reset of a channel without history: once it is read, events of the channel are accepted again. */
  readonly resumes?: string;
}

type Result = IteratorResult<SseEvent, undefined>;
const DONE = Object.freeze({ done: true, value: undefined } as const);

/** The events of a connection, for a consumer that pulls them. */
export class EventQueue implements Subscriber {
  #unread: Unread[] = [];
  #size = 0;
  /** Pulls that wait for an event. */
  #pulls: ((result: Result) => void)[] = [];
  #drains: (() => void)[] = [];
  /** Channels without history of which events are dropped until the consumer has read their reset. */
  readonly #dropped = new Set<string>();
  #isOpen = false;
  #isFinished = false;
  #isDone = false;

  /**
   * @param hasHistory whether events can be read again
   * @param end is called if the connection fails, and when everything of a stream is read
   */
  constructor(
    private readonly hasHistory: boolean,
    private readonly end: (reason: 'error' | 'ended') => void,
  ) {}

  complete(): void {
    this.end('error');
  }

  finish(): void {
    this.#isFinished = true;
    if (this.#unread.length === 0) this.end('ended');
  }

  open(id: string | undefined, live: readonly string[], isTruncated?: boolean): void {
    const event = openingEvent(!this.#isOpen, id, live, isTruncated);
    this.#isOpen = true;
    if (event) this.#push({ event, size: 0 });
  }

  next(event: ChannelEvent, id?: string): void {
    const { channel, size } = event;
    const isKept = (this.hasHistory && event.isStored) || event.type?.startsWith('sse.');
    if (isKept || !(this.#isFull || this.#dropped.has(channel))) return this.#push({ event, id, size });
    if (this.hasHistory || this.#dropped.has(channel)) return;
    this.#dropped.add(channel);
    this.#push({ event: resetEvent(channel, 'lost', ''), size: 0, resumes: channel });
  }

  pull(): Promise<Result> {
    const unread = this.#unread.shift();
    if (!unread) {
      return this.#isDone ? Promise.resolve(DONE) : new Promise((resolve) => this.#pulls.push(resolve));
    }
    this.#size -= unread.size;
    if (unread.resumes !== undefined) this.#dropped.delete(unread.resumes);
    if (this.#unread.length === 0) this.#drain();
    if (this.#unread.length === 0 && this.#isFinished) this.end('ended');
    return Promise.resolve({ done: false, value: valueOf(unread) });
  }

  /** Discards what is unread: its reader may have lost the permission. */
  close(): void {
    this.#isDone = true;
    this.#unread = [];
    this.#size = 0;
    for (const pull of this.#pulls.splice(0)) pull(DONE);
    this.#drain();
  }

  drained(): Promise<void> | undefined {
    if (this.#unread.length === 0) return undefined;
    return new Promise((resolve) => this.#drains.push(resolve));
  }

  get isBehind(): boolean {
    return this.hasHistory && (this.#unread.length >= MAX_UNREAD || this.#size >= MAX_UNREAD_SIZE);
  }

  get #isFull(): boolean {
    return this.#unread.length >= MAX_LIVE || this.#size >= MAX_LIVE_SIZE;
  }

  #push(unread: Unread): void {
    if (this.#isDone) return;
    const pull = this.#pulls.shift();
    if (pull) return pull({ done: false, value: valueOf(unread) });
    this.#unread.push(unread);
    this.#size += unread.size;
  }

  #drain(): void {
    for (const resolve of this.#drains.splice(0)) resolve();
  }
}

/** Parses the data: only when the event is pulled. */
const valueOf = ({ event, id }: Unread): SseEvent => withId('event' in event ? event.event : event, id);
