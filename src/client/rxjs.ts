import { from, Observable } from 'rxjs';
import {
  connect,
  type ConnectOptions,
  type SseClientDefinition,
  type SseClientEvent,
  type SseClientEventOf,
} from './index.js';

/**
 * All events of a URL, those of the server whose type begins with `sse.` included. Each subscription has a connection of its own, which
 * unsubscribing closes. It completes when the source has ended, and fails with its error when it has failed, or for a wrong URL or option.
 *
 * For a source of your own, use `from(source)`: it leaves the source open.
 *
 * @example
 * fromSse<Order>('/orders', { headers }).pipe(filter(({ type }) => type === 'paid'))
 */
export function fromSse(url: string | URL, options?: ConnectOptions): Observable<SseClientEvent>;
/**
 * All events of typed channels, distinguished by `type`, as `connect()` delivers them.
 *
 * @typeParam Definition `typeof` a definition of `defineChannel()`, or a union of several
 */
export function fromSse<Definition extends SseClientDefinition>(
  url: string | URL,
  options?: ConnectOptions,
): Observable<SseClientEventOf<Definition>>;
/**
 * All events of a URL.
 *
 * @typeParam T the type of their data, which is not checked
 */
export function fromSse<T = unknown>(
  url: string | URL,
  options?: ConnectOptions,
): Observable<SseClientEvent<T>>;
export function fromSse(url: string | URL, options?: ConnectOptions): Observable<SseClientEvent> {
  return new Observable<SseClientEvent>((subscriber) => {
    const source = connect(url, options);
    // Closing ends the iteration, too, which otherwise would wait for another event.
    subscriber.add(() => source.close());
    from(source).subscribe(subscriber);
  });
}
