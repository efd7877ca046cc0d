import type { PublishOptions } from './event/event.js';
import type { SseTypedChannel } from './event/typed-channel.js';
import type { AnyDefinition, SseDataOf, SseEventTypeOf } from './typed-channels/define-channel.js';
import type { AnyEventInput, CheckedInput } from './typed-channels/event-list.js';
import type { PublishArguments, SseTypedPublishOptions } from './typed-channels/typed-publication.js';
import type { Publications } from './publications.js';

/** The part of `SseService` that publishes. */
export abstract class SsePublisher {
  /** @internal */
  constructor(protected readonly publications: Publications) {}

  /**
   * Publishes an event to all subscribers of the channel, in any process.
   *
   * It retries for up to 4.5 s and stores each event exactly once, in the order of the calls of this process, also if they are not
   * awaited. Storing and sending are atomic. Up to 100,000 events or 64 MiB may be pending.
   * Cost: one script call in Redis (one PUBLISH if transient).
   *
   * @param data a string, sent unchanged, or any JSON value, sent as JSON, nested at most 500 levels deep
   * @returns the event's public id, once the broker has confirmed it; '' for a transient event
   * @throws SseError `SSE_INPUT` for an unacceptable argument, before anything is written; `SSE_UNAVAILABLE` within
   *   5 s without a confirmation (`mayBePublished` says whether the event may have been published nevertheless)
   */
  publish(data: unknown, options?: PublishOptions): Promise<string>;
  /**
   * Publishes an event to a typed channel, in the same way. What the schema of the event type makes of the data is published.
   *
   * Where the schema is asynchronous, later events of the channel wait for it, up to 5 s, 10,000 events of the channel and 64 MiB of all. Do not change
   * the data until then.
   *
   * @param channel a channel of `defineChannel()`
   * @param type one of the event types of its definition
   * @param data what the schema of this type accepts
   * @throws SseError `SSE_INPUT`, with the `issues` of the schema, before anything is written; `SSE_UNAVAILABLE` where the schema fails, or does not
   *   settle within 5 s
   */
  publish<D extends AnyDefinition, Type extends SseEventTypeOf<D>>(
    channel: SseTypedChannel<D>,
    type: Type,
    data: SseDataOf<D, Type>,
    options?: SseTypedPublishOptions,
  ): Promise<string>;
  async publish(...args: PublishArguments): Promise<string> {
    return this.publications.publish(args);
  }

  /**
   * Publishes events, in the order of the list, to one or more channels: 10 in a channel at about a third of the cost of `publish()` for each, 1,000 at a quarter.
   *
   * Every event of the list is checked before any is published. In each channel they keep their order, also relative to other calls of
   * this process, and each is stored exactly once, as with `publish()`. A call of the script publishes all of its events, or none: up to 1,000 events
   * of a channel and 1 Mi characters. A longer list takes several calls, so that Redis is not busy with one for long: other publications
   * may come between, and if a call fails, later ones store nothing. Channels do not wait for each other.
   *
   * Where a schema is asynchronous, all channels of the list wait for it, as with `publish()`.
   *
   * Cost: one script call in Redis for each channel and 1,000 events. Up to 100,000 events or 64 MiB of data may be pending, and in a list.
   *
   * @param events each with the options of `publish()`; those of a typed channel with one of its types, and data for it
   * @returns the public ids, in the order of the list, once all are confirmed; '' for a transient event
   * @throws SseError `SSE_INPUT` for an unacceptable event, with its place (`events[3].data`), before anything is written. Otherwise, if any
   *   event is not confirmed, `outcomes` says of each whether it was published: those that are `rejected` can be published again
   * @example
   * ```ts
   * await sse.publishAll([
   *   { channel: 'news', data: { title: 'First' } },
   *   { channel: orders({ id: 7 }), type: 'paid', data: { amount: 5 } },
   * ]);
   * ```
   */
  async publishAll<Event extends AnyEventInput>(
    events: readonly (Event & CheckedInput<Event>)[],
  ): Promise<string[]> {
    return this.publications.publishAll(events);
  }
}
