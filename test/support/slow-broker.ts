import { MemorySseBroker } from '../../src/broker/memory/memory.broker.js';
import type { ChannelListener } from '../../src/broker/broker.js';
import type { ChannelEvent } from '../../src/channel/channel-event.js';
import type { Subscriber } from '../../src/channel/subscribers.js';
import type { SseEvent } from '../../src/event/event.js';

/** Reads take as long as the test wants, and anything may arrive. */
export class SlowBroker extends MemorySseBroker {
  /** The most wanted position of each reading. */
  readonly asked: (string | undefined)[] = [];
  readonly listeners = new Map<string, ChannelListener>();
  fails = false;
  /** Channels of which no reading succeeds. */
  readonly broken = new Set<string>();
  gate = Promise.resolve();

  override subscribe(channel: string, listener: ChannelListener): void {
    this.listeners.set(channel, listener);
    super.subscribe(channel, listener);
  }

  override async read(...args: Parameters<MemorySseBroker['read']>): ReturnType<MemorySseBroker['read']> {
    this.asked.push(args[1][0]);
    await this.gate;
    if (this.fails || this.broken.has(args[0])) throw new Error('This read fails');
    return super.read(...args);
  }
}

/** A subscriber that keeps what it gets. */
export class Recorder implements Subscriber {
  readonly events: SseEvent[] = [];
  /** The channels that it was told to begin live, and its id then. */
  readonly opens: { id: string | undefined; live: readonly string[] }[] = [];
  completed = false;

  open(id: string | undefined, live: readonly string[]): void {
    this.opens.push({ id, live });
  }

  next({ event }: ChannelEvent, id = event.id): void {
    this.events.push({ ...event, id });
  }

  complete(): void {
    this.completed = true;
  }

  get data(): unknown[] {
    return this.events.map(({ type, data }) => (type === 'sse.reset' ? type : data));
  }
}
