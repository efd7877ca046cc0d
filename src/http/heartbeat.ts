import type { MessageEvent } from '@nestjs/common';
import { interval, map, Observable, type OperatorFunction, share } from 'rxjs';
import { inputError } from '../sse.errors.js';

const tickers = new Map<number, Observable<MessageEvent>>();

/**
 * Adds keep-alive comments to an observable on its way to `@Sse()`, so that no proxy takes an idle stream for dead.
 * Put it at the end of the pipe. Comments carry no id, and no `EventSource` shows them.
 *
 * @param ms time between two comments, 1,000–3,600,000; streams with the same one share a timer. @default 15000
 * @throws SseError `SSE_INPUT`, in the call
 */
export function heartbeat<T>(ms = 15_000): OperatorFunction<T, T | MessageEvent> {
  if (!Number.isInteger(ms) || ms < 1_000 || ms > 3_600_000) {
    throw inputError('ms', 'a whole number of milliseconds, 1,000–3,600,000', ms);
  }
  return (source) =>
    new Observable((observer) => {
      observer.add(tickerOf(ms).subscribe((comment) => observer.next(comment)));
      observer.add(source.subscribe(observer));
    });
}

function tickerOf(ms: number): Observable<MessageEvent> {
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
