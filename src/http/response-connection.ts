import type { Access, ConnectionSource, SseGrant } from '../connections/access.js';
import type { Connection, SseEndReason } from '../connections/connection.js';
import type { Channels } from '../channel/channels.js';
import type { Subscriber } from '../channel/subscribers.js';
import type { EventFilter } from './event-filter.js';
import type { Formatting } from './formatted-response.js';
import type { SseResponse } from './sse-response.js';

/** The subscription of a response. */
export interface SubscribedResponse {
  /** Resolves when the response headers may be sent. */
  readonly ready: Promise<void>;
  unsubscribe(): void;
}

/** What a response delivers, and to which client. */
export interface ResponseTarget extends Pick<SseGrant, 'channels' | 'access' | 'renew'> {
  readonly filter?: EventFilter;
  /** How many of the newest events it begins with in channels in which the client has no position. @default 0 */
  readonly newest?: number;
  /** Subscribes the response, in place of the channels: to a stream. */
  subscribe?(subscriber: Subscriber): SubscribedResponse;
  /** When the permission was asked for. @default now */
  readonly askedAt?: number;
  /** How its events are written, if not as ordinary server-sent events. */
  readonly formatting?: Formatting;
  /** @default that of the module */
  readonly writeIntervalMs?: number;
}

/** Where a response comes from, and where it begins. */
interface Origin {
  readonly channels: Channels;
  readonly lastEventId: string | undefined;
  readonly source: ConnectionSource;
  readonly http2Session: object | undefined;
}

/** The connection of a response. It outlives the request, and keeps nothing of it. */
export class ResponseConnection implements Connection {
  readonly channels: readonly string[];
  readonly access: Access;
  readonly askedAt: number | undefined;
  readonly renew: ResponseTarget['renew'];
  readonly source: ConnectionSource;
  readonly http2Session: object | undefined;
  readonly resumes: boolean;
  /** Called when the response headers may be sent, or the response is closed. */
  onReady: (() => void) | undefined;
  /** Called when it has ended. */
  remove: ((reason: SseEndReason) => void) | undefined;
  #subscribe: (() => SubscribedResponse) | undefined;
  #subscription: SubscribedResponse | undefined;

  constructor(
    readonly response: SseResponse,
    target: ResponseTarget,
    { channels: all, lastEventId, source, http2Session }: Origin,
  ) {
    const { channels, access, askedAt, renew, newest } = target;
    this.channels = channels;
    this.access = access;
    this.askedAt = askedAt;
    this.renew = renew;
    this.source = source;
    this.http2Session = http2Session;
    // Either may cost a read for each channel.
    this.resumes = lastEventId !== undefined || Number(newest) > 0 || target.subscribe !== undefined;
    this.#subscribe = () =>
      target.subscribe?.(response) ?? all.subscribe(channels, response, { lastEventId, newest });
    response.connection = this;
  }

  begin(): void {
    this.#subscription = this.#subscribe!();
    this.#subscribe = undefined;
    void this.#subscription.ready.then(() => this.onReady?.());
  }

  end(retryMs?: number): void {
    this.#subscription?.unsubscribe();
    this.response.end(retryMs);
  }

  /** @param hasEnded whether this node has ended it */
  onClosed(hasEnded: boolean): void {
    // Without another reason, the client has closed it.
    this.remove?.(this.response.endReason ?? (hasEnded ? 'error' : 'client'));
    this.#subscription?.unsubscribe();
    this.onReady?.();
  }
}
