import { MemorySseBroker } from '../../src/broker/memory/memory.broker.js';
import type { ChannelListener } from '../../src/broker/broker.js';
import type { ChannelEvent } from '../../src/channel/channel-event.js';
import type { Subscriber } from '../../src/channel/subscribers.js';
import type { SseEvent } from '../../src/event/event.js';

/** A broker whose reads and messages the test controls. */
export class SlowBroker extends MemorySseBroker {
  /** The preferred position of each read. */
  readonly asked: (string | undefined)[] = [];
  readonly listeners = new Map<string, ChannelListener>();
  fails = false;
  /** Channels whose reads fail. */
  readonly broken = new Set<string>();
  gate = Promise.resolve();

  override subscribe(channel: string, listener: ChannelListener): void {
    this.listeners.set(channel, listener);
    super.subscribe(channel, listener);
  }

  override async read(...args: Parameters<MemorySseBroker['read']>): ReturnType<MemorySseBroker['read']> {
    const [, positions] = args;
    this.asked.push('newest' in positions ? 'newest' : positions[0]);
    await this.gate;
    if (this.fails || this.broken.has(args[0])) throw new Error('This read fails');
    return super.read(...args);
  }
}

/** A subscriber that records its events. */
export class Recorder implements Subscriber {
  readonly events: SseEvent[] = [];
  /** The channels that opened live, and the id at that time. */
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
