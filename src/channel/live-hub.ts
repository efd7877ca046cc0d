import type { ChannelListener, SseBroker } from '../broker/broker.js';
import { decodeMessage } from '../event/message.js';
import type { FailureLog } from '../common/failure-log.js';
import type { ChannelMetrics } from './channel-metrics.js';
import { ChannelEvent } from './channel-event.js';
import { Liveness } from './liveness.js';
import { type Subscriber, Subscribers } from './subscribers.js';

/** One channel in this process, without history: each message goes to the current subscribers. */
export class LiveHub extends Liveness implements ChannelListener {
  readonly #subscribers: Subscribers;

  // oxlint-disable-next-line max-params -- all channels of a process share the last two
  constructor(
    readonly channel: string,
    private readonly broker: SseBroker,
    private readonly onDropped: (channel: string) => void,
    private readonly metrics: ChannelMetrics,
    failures?: FailureLog,
  ) {
    super(failures);
    this.#subscribers = new Subscribers(this.failures, metrics);
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
    this.enter('closed');
    this.#subscribers.clear();
    this.broker.unsubscribe(this.channel);
  }

  onInterrupted(): void {
    this.enter('interrupted');
  }

  onSubscribed(): void {
    this.enter('live');
  }

  onMessage(text: string): void {
    const message = decodeMessage(text);
    if (!message) return this.onDropped(this.channel);
    // Another process may keep a history of the channel; its cursors mean nothing here.
    const id = message.id === message.cursor ? undefined : message.id;
    const event = new ChannelEvent(this.channel, { ...message, id }, '');
    this.metrics.delivered += this.#subscribers.deliver(event);
  }
}
