import { Inject, Injectable } from '@nestjs/common';
import { SseBroker } from '../../broker/broker.js';
import type { MemorySseBroker } from '../../broker/memory/memory.broker.js';
import {
  channelOf,
  checkChannel,
  checkPublication,
  DEFAULT_CHANNEL,
  type PublishOptions,
} from '../../event/event.js';
import { SseError } from '../../common/sse.errors.js';
import { RESOLVED_OPTIONS, type ResolvedOptions } from '../../options/sse.options.js';
import { SseService } from '../../sse.service.js';

/** An accepted call of `publish()`: its data and options as the caller gave them, and its result. */
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
  }

  override async publish(data: unknown, options: PublishOptions = {}): Promise<string> {
    const publishedId = await super.publish(data, options);
    const channel = channelOf(options);
    this.#published.push(Object.freeze({ ...options, channel, data, publishedId }));
    return publishedId;
  }

  /**
   * Publishes an event as another node would: it reaches subscribers and is stored, but is not recorded and
   * not counted in `stats()`.
   *
   * @returns the event's public id; '' for a transient event
   * @throws SseError `SSE_INPUT` for arguments that `publish()` refuses; `SSE_UNAVAILABLE` after the application has closed
   */
  async feed(data: unknown, options: PublishOptions = {}): Promise<string> {
    const publication = checkPublication(data, options, this.resolved.maxPayloadBytes);
    return this.memory.publish(channelOf(options), publication);
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
