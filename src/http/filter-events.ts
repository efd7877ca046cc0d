import { Observable, type OperatorFunction } from 'rxjs';
import { positionOf } from '../channel/channel-event.js';
import type { SseEvent } from '../event.js';
import { tickerOf } from './heartbeat.js';

/**
 * Lets through the events of `messages()` on which the predicate returns true, and the module's own. Where RxJS's `filter()` keeps
 * events back, a client keeps the id of the last one it got, and comes back with it after the history has gone on: it is then
 * told that it may have missed something. This operator tells it from time to time how far it is, by an event `sse.position`
 * with an id, which no `onmessage` shows.
 *
 * @param predicate decides on each event; what it throws ends the observable with that error
 * @param ms time between two `sse.position` at least, 1,000–3,600,000; they come only after events were kept back. @default 15000
 * @throws SseError `SSE_INPUT`, in the call
 */
export function filterEvents<T = unknown>(
  predicate: (event: SseEvent<T>) => boolean,
  ms = 15_000,
): OperatorFunction<SseEvent<T>, SseEvent<T>> {
  const ticker = tickerOf(ms);
  return (source) =>
    new Observable((observer) => {
      let kept: SseEvent<T> | undefined;
      const tell = () => {
        if (kept && positionOf(kept) !== '') observer.next(positionEvent(kept));
        kept = undefined;
      };
      observer.add(ticker.subscribe(tell));
      observer.add(
        source.subscribe({
          next: (event) => {
            let passes;
            try {
              passes = event.type?.startsWith('sse.') || predicate(event);
            } catch (error) {
              return observer.error(error);
            }
            kept = passes ? undefined : event;
            if (passes) observer.next(event);
          },
          error: (error) => observer.error(error),
          complete: () => {
            tell();
            observer.complete();
          },
        }),
      );
    });
}

/** Told to a client, takes it behind the event. */
function positionEvent<T>(event: SseEvent<T>): SseEvent<T> {
  const { channel } = event;
  return { id: positionOf(event), channel, type: 'sse.position', data: { channel } as T };
}
