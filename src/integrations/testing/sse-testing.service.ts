import { Inject, Injectable } from '@nestjs/common';
import { SseBroker } from '../../broker/broker.js';
import type { MemorySseBroker } from '../../broker/memory/memory.broker.js';
import { checkChannel, DEFAULT_CHANNEL, type Publication, type PublishOptions } from '../../event/event.js';
import type { SseTypedChannel } from '../../event/typed-channel.js';
import { SseError } from '../../common/sse.errors.js';
import { RESOLVED_OPTIONS, type ResolvedOptions } from '../../options/sse.options.js';
import { SseService } from '../../sse.service.js';
import type { AnyDefinition, SseDataOf, SseEventTypeOf } from '../../typed-channels/define-channel.js';
import {
  type AnyEventInput,
  callOfEvent,
  type CheckedInput,
  fieldsOfEvent,
} from '../../typed-channels/event-list.js';
import {
  callOf,
  checkArguments,
  type PublishArguments,
  type PublishCall,
  type SseTypedPublishOptions,
} from '../../typed-channels/typed-publication.js';

/** An accepted call of `publish()`, or event of `publishAll()`: its data and options as the caller gave them, and its result. */
export interface SsePublication extends Readonly<PublishOptions> {
  /** In canonical form; `sse` if the caller named none. */
  readonly channel: string;
  /** The given value itself, not a copy. */
  readonly data: unknown;
  /** The id that `publish()` resolved to; '' for a transient event. */
  readonly publishedId: string;
}

/** The `SseService` of tests: events stay in memory, publications are recorded, and a test feeds events. */
@Injectable()
export class SseTestingService extends SseService {
  // Properties, so that the constructor of SseService is inherited.
  @Inject(SseBroker) private readonly memory!: SseBroker;
  @Inject(RESOLVED_OPTIONS) private readonly resolved!: ResolvedOptions;
  #published: SsePublication[] = [];
  /** The place of each recorded publication among all calls. */
  #places: number[] = [];
  #calls = 0;

  /**
   * The accepted publications since the start or the last `clear()`, in call order. A second call with an
   * `idempotencyKey` is accepted, too: its `publishedId` is that of the first.
   */
  get published(): readonly SsePublication[] {
    return this.#published;
  }

  /** Clears the recorded publications. Channels keep their history. */
  clear(): void {
    this.#published = [];
    this.#places = [];
  }

  override publish(data: unknown, options?: PublishOptions): Promise<string>;
  override publish<D extends AnyDefinition, Type extends SseEventTypeOf<D>>(
    channel: SseTypedChannel<D>,
    type: Type,
    data: SseDataOf<D, Type>,
    options?: SseTypedPublishOptions,
  ): Promise<string>;
  override async publish(...args: PublishArguments): Promise<string> {
    const place = this.#calls++;
    const publishedId = await super.publish(...(args as [unknown]));
    this.#record(place, callOf(args), publishedId);
    return publishedId;
  }

  override async publishAll<Event extends AnyEventInput>(
    events: readonly (Event & CheckedInput<Event>)[],
  ): Promise<string[]> {
    const place = this.#calls++;
    // The caller may change them later.
    const given = Array.isArray(events) ? Array.from(events, fieldsOfEvent) : [];
    const record = (index: number, id: string) =>
      this.#record(place, callOfEvent(given[index] as AnyEventInput), id);
    try {
      const ids = await super.publishAll(events);
      for (const [index, id] of ids.entries()) record(index, id);
      return ids;
    } catch (error) {
      const outcomes = error instanceof SseError ? error.outcomes : [];
      for (const [index, { id }] of outcomes.entries()) if (id !== undefined) record(index, id);
      throw error;
    }
  }

  /**
   * Publishes an event as another node would: it reaches subscribers and is stored, but is not recorded and
   * not counted in `stats()`.
   *
   * @returns the event's public id; '' for a transient event
   * @throws SseError `SSE_INPUT` for arguments that `publish()` refuses; `SSE_UNAVAILABLE` after the application has closed
   */
  feed(data: unknown, options?: PublishOptions): Promise<string>;
  /**
   * The same for a typed channel. The schema checks the data, as it does where another node publishes it.
   *
   * @throws SseError as `publish()`
   */
  feed<D extends AnyDefinition, Type extends SseEventTypeOf<D>>(
    channel: SseTypedChannel<D>,
    type: Type,
    data: SseDataOf<D, Type>,
    options?: SseTypedPublishOptions,
  ): Promise<string>;
  async feed(...args: PublishArguments): Promise<string> {
    const { channel, publication } = checkArguments(args, this.resolved.maxPayloadBytes);
    const publish = (checked: Publication) => this.memory.publish(channel, checked);
    return publication instanceof Promise ? publication.then(publish) : publish(publication);
  }

  /** Calls may settle in another order. */
  #record(place: number, { channel, data, options }: PublishCall, publishedId: string): void {
    const at = this.#places.findLastIndex((each) => each <= place) + 1;
    this.#places.splice(at, 0, place);
    this.#published.splice(at, 0, Object.freeze({ ...options, channel, data, publishedId }));
  }

  /**
   * Loses the history of a channel, as a Redis that restarts without its data: each subscriber gets one `sse.reset`
   * with the reason `lost`, and so does a client that resumes from an earlier event.
   *
   * @throws SseError `SSE_INPUT` for a wrong channel, and with `history: false`, which has no `sse.reset`
   */
  loseHistory(channel: string = DEFAULT_CHANNEL): void {
    const name = checkChannel(channel);
    if (this.resolved.history === false) {
      throw new SseError(
        'SSE_INPUT',
        `Expected \`history\` to be kept, so that ${name} can lose it, got false`,
      );
    }
    (this.memory as MemorySseBroker).forget(name);
  }
}
