import type { MessageEvent } from '@nestjs/common';
import { interval, map, Observable, type OperatorFunction, share } from 'rxjs';
import { inputError } from '../common/sse.errors.js';

const tickers = new Map<number, Observable<MessageEvent>>();

/**
 * Adds heartbeat comments to an observable for `@Sse()`, so that no proxy closes an idle connection, and
 * converts data other than strings and objects to the JSON text that an `@SseChannel()` client gets: Nest itself writes an event
 * whose data is `null` without data, and no `EventSource` shows that. Put it at the end of the pipe. Comments carry no id, and
 * no `EventSource` shows them.
 *
 * @param ms time between two comments, 1,000–3,600,000; connections with the same one share a timer. @default 15000
 * @throws SseError `SSE_INPUT`, in the call
 */
export function heartbeat<T>(ms = 15_000): OperatorFunction<T, MessageEvent> {
  const ticker = tickerOf(ms);
  return (source) =>
    new Observable((observer) => {
      observer.add(ticker.subscribe((comment) => observer.next(comment)));
      observer.add(source.pipe(map(messageOf)).subscribe(observer));
    });
}

/** Nest takes an object for a message, and anything else for the data of one. */
function messageOf(value: unknown): MessageEvent {
  const message = (typeof value === 'object' && value !== null ? value : { data: value }) as MessageEvent;
  const data: unknown = message.data;
  if (typeof data === 'string' || data === undefined || (typeof data === 'object' && data !== null))
    return message;
  return { ...message, data: JSON.stringify(data) };
}

/**
 * Emits at an interval; equal intervals share one timer.
 *
 * @throws SseError `SSE_INPUT`
 */
export function tickerOf(ms: number): Observable<MessageEvent> {
  if (!Number.isInteger(ms) || ms < 1_000 || ms > 3_600_000) {
    throw inputError('ms', 'a whole number of milliseconds, 1,000–3,600,000', ms);
  }
  let ticker = tickers.get(ms);
  if (!ticker) {
    const comment: Partial<MessageEvent> = { comment: '' };
    ticker = interval(ms).pipe(
      map(() => comment as MessageEvent),
      share(),
    );
    tickers.set(ms, ticker);
  }
  return ticker;
}
