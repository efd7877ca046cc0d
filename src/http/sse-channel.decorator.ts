import { Get, Res, UseInterceptors } from '@nestjs/common';
import type { SseRule } from './authorizer.js';
import { authorizingInterceptor, SseChannelInterceptor } from './sse-channel.interceptor.js';
import type { SseTarget } from './sse-target.js';

type Handler<T> = (...args: never[]) => T | Promise<T>;

/** Options of an `@SseChannel()` route. */
export interface SseChannelOptions {
  /**
   * Which channels may be read through the route. A handler that returns nothing leaves it to the client to name them, in
   * the query's `channel`; the rule holds also for what a handler returns.
   *
   * @default what the handler returns
   */
  allow?: SseRule;
}

/**
 * Declares a GET route that streams channels to an `EventSource`: the handler names the channels, and the module
 * writes their events to the socket itself, each encoded once for all of its subscribers.
 *
 * Guards, pipes, interceptors and exception filters apply as on any route, and errors before the stream are real
 * statuses. The head goes out once the subscription is live (or after 2 s without a broker): an event published
 * after a client has seen its head reaches it. The stream begins with `sse.open`, or resumes after the request's
 * Last-Event-ID (header, else query `lastEventId`); continuity that cannot be had gives one `sse.reset`.
 *
 * With `allow`, what the rule does not let through is refused before the stream starts (403, or the authorizer's 401),
 * and streams end when an authorizer no longer allows them: see `SseAuthorizer`.
 *
 * @param path route path, as for `@Get()`
 * @throws SseError `SSE_OPTIONS`, when the class is defined, for an `allow` that is no rule
 * @example
 * ```ts
 * @SseChannel('orders/:id/events')
 * events(@Param('id', ParseIntPipe) id: number) {
 *   return `order:${id}`;
 * }
 *
 * @SseChannel('news', { allow: ['news', 'sports'] }) // GET /news?channel=sports
 * news() {}
 * ```
 */
export function SseChannel(
  path: string | string[] | undefined,
  options: SseChannelOptions & { allow: SseRule },
): <T extends Handler<SseTarget | void>>(
  target: object,
  key: string | symbol,
  descriptor: TypedPropertyDescriptor<T>,
) => void;
export function SseChannel(
  path?: string | string[],
): <T extends Handler<SseTarget>>(
  target: object,
  key: string | symbol,
  descriptor: TypedPropertyDescriptor<T>,
) => void;
export function SseChannel(path?: string | string[], { allow }: SseChannelOptions = {}) {
  const interceptor = allow === undefined ? SseChannelInterceptor : authorizingInterceptor(allow);
  return <T extends Handler<SseTarget | void>>(
    target: object,
    key: string | symbol,
    descriptor: TypedPropertyDescriptor<T>,
  ) => {
    // A parameter that is the response tells Nest to leave the response alone. It comes behind all others; their
    // number is in the metadata, as a function's length ends at the first parameter with a default value.
    const known: Record<string, { index: number }> =
      Reflect.getMetadata('__routeArguments__', target.constructor, key) ?? {};
    const indices = Object.values(known).map(({ index }) => index + 1);
    Res()(target, key, Math.max(descriptor.value?.length ?? 0, ...indices));
    // A `@Res({ passthrough: true })` of the handler's would have Nest answer behind the stream, and so end it.
    Reflect.defineMetadata('__responsePassthrough__', false, target.constructor, key);
    UseInterceptors(interceptor)(target, key, descriptor);
    Get(path)(target, key, descriptor);
  };
}
