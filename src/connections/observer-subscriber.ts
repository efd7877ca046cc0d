import { AsyncResource } from 'node:async_hooks';
import type { Observer } from 'rxjs';
import { type ChannelEvent, openingEvent, withId } from '../channel/channel-event.js';
import type { Subscriber } from '../channel/subscribers.js';
import type { FailureLog } from '../common/failure-log.js';
import { causeOf } from '../common/sse.errors.js';
import type { SseEvent } from '../event/event.js';

/** Gives the events of a connection to an RxJS observer, which gets them as they arrive. */
export class ObserverSubscriber implements Subscriber {
  /** The subscriber's async context. Otherwise operators would run in the publisher's, or in that of the first subscriber. */
  readonly #context = new AsyncResource('SseMessages', { requireManualDestroy: true });
  #isOpen = false;
  /** Whether the connection has failed. */
  hasFailed = false;

  constructor(
    private readonly observer: Observer<SseEvent>,
    private readonly failures: FailureLog,
  ) {}

  open(id: string | undefined, live: readonly string[], isTruncated?: boolean): void {
    // A channel that opens later is added to the position of a client that has begun without it.
    const event = openingEvent(!this.#isOpen, id, live, isTruncated);
    this.#isOpen = true;
    if (event) this.#emit(event);
  }

  next({ event }: ChannelEvent, id?: string): void {
    this.#emit(withId(event, id));
  }

  complete(): void {
    this.hasFailed = true;
    this.end();
  }

  end(): void {
    try {
      this.#context.runInAsyncScope(() => this.observer.complete());
    } catch (error) {
      // Thrown by the application, for example in `finalize()`. Other connections must still be closed.
      const cause = causeOf(error);
      this.failures.error(cause, `An observable of messages() has failed as it was completed: ${cause}`);
    }
  }

  #emit(event: SseEvent): void {
    this.#context.runInAsyncScope(() => this.observer.next(event));
  }
}
