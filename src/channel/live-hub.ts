import type { ChannelListener, SseBroker } from '../broker/broker.js';
import { decodeMessage } from '../broker/message.js';
import type { FailureLog } from '../limiter.js';
import type { ChannelCounts } from './channel-counts.js';
import { ChannelEvent } from './channel-event.js';
import { Liveness } from './liveness.js';
import { type Subscriber, Subscribers } from './subscribers.js';

/** One channel in this process, without history: what arrives goes to who is there. */
export class LiveHub extends Liveness implements ChannelListener {
  readonly #subscribers: Subscribers;

  // oxlint-disable-next-line max-params -- the last two are what all channels of a process share
  constructor(
    readonly channel: string,
    private readonly broker: SseBroker,
    private readonly onDropped: (channel: string) => void,
    private readonly counts: ChannelCounts,
    failures?: FailureLog,
  ) {
    super(failures);
    this.#subscribers = new Subscribers(this.failures, counts);
    broker.subscribe(channel, this);
  }

  attach(subscriber: Subscriber): undefined {
    subscriber.open(undefined, []);
    this.#subscribers.add(subscriber);
  }

  detach(subscriber: Subscriber): void {
    this.#subscribers.delete(subscriber);
  }

  close(): void {
    this.end();
    this.#subscribers.clear();
    this.broker.unsubscribe(this.channel);
  }

  onInterrupted(): void {
    this.interrupt();
  }

  onSubscribed(): void {
    this.begin();
  }

  onMessage(text: string): void {
    const message = decodeMessage(text);
    if (!message) return this.onDropped(this.channel);
    // Another process may keep a history of the channel; its cursors mean nothing here.
    const id = message.id === message.cursor ? undefined : message.id;
    const event = new ChannelEvent(this.channel, { ...message, id }, '');
    this.counts.delivered += this.#subscribers.deliver(event);
  }
}
