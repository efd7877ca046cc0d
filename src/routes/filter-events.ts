import { Observable, type OperatorFunction } from 'rxjs';
import { controlEvent, positionOf } from '../channel/channel-event.js';
import type { SseEvent } from '../event/event.js';
import { inputError } from '../common/sse.errors.js';
import { checkDecision } from '../http/event-filter.js';
import { tickerOf } from './heartbeat.js';

/**
 * RxJS's `filter()` for the events of `messages()`, which also keeps the client's position up to date. With `filter()`, a client
 * reconnects with the id of the last event that passed; if the history has been trimmed since, it gets `sse.reset`. This operator
 * emits `sse.position` with an id after it has dropped events; no `onmessage` shows it. Events of the module (`sse.*`) always pass.
 *
 * @param predicate returns true for the events that pass; an exception, or any other result than true and false, errors the
 *   observable
 * @param ms minimum time between two `sse.position`, 1,000–3,600,000. @default 15000
 * @throws SseError `SSE_INPUT`, in the call
 */
export function filterEvents<Event extends SseEvent>(
  predicate: (event: Event) => boolean,
  ms?: number,
): OperatorFunction<Event, Event>;
/** The same, for events whose data has a type that is given: `filterEvents<Order>(…)`. */
export function filterEvents<T = unknown>(
  predicate: (event: SseEvent<T>) => boolean,
  ms?: number,
): OperatorFunction<SseEvent<T>, SseEvent<T>>;
export function filterEvents<T>(
  predicate: (event: SseEvent<T>) => boolean,
  ms = 15_000,
): OperatorFunction<SseEvent<T>, SseEvent<T>> {
  if (typeof predicate !== 'function') throw inputError('predicate', 'a function', predicate);
  const ticker = tickerOf(ms);
  return (source) =>
    new Observable((observer) => {
      let dropped: SseEvent<T> | undefined;
      const tell = () => {
        const id = dropped && positionOf(dropped);
        // Without history there is no position.
        if (id) observer.next(controlEvent('sse.position', id, [dropped!.channel]) as SseEvent<T>);
        dropped = undefined;
      };
      observer.add(ticker.subscribe(tell));
      observer.add(
        source.subscribe({
          next: (event) => {
            let passes;
            try {
              passes = event.type?.startsWith('sse.') || checkDecision(predicate(event));
            } catch (error) {
              return observer.error(error);
            }
            dropped = passes ? undefined : event;
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
