import { Get, Res, UseInterceptors } from '@nestjs/common';
import type { SseTarget } from './event-streams.js';
import { SseChannelInterceptor } from './sse-channel.interceptor.js';

type Handler = (...args: never[]) => SseTarget | Promise<SseTarget>;

/**
 * Declares a GET route that streams channels to an `EventSource`: the handler names the channels, and the module
 * writes their events to the socket itself, each encoded once for all of its subscribers.
 *
 * Guards, pipes, interceptors and exception filters apply as on any route, and errors before the stream are real
 * statuses. The head goes out once the subscription is live (or after 2 s without a broker): an event published
 * after a client has seen its head reaches it. The stream begins with `sse.open`, or resumes after the request's
 * Last-Event-ID (header, else query `lastEventId`); continuity that cannot be had gives one `sse.reset`.
 *
 * @param path route path, as for `@Get()`
 * @example
 * ```ts
 * @SseChannel('orders/:id/events')
 * events(@Param('id', ParseIntPipe) id: number) {
 *   return `order:${id}`;
 * }
 * ```
 */
export function SseChannel(path?: string | string[]) {
  return <T extends Handler>(
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
    UseInterceptors(SseChannelInterceptor)(target, key, descriptor);
    Get(path)(target, key, descriptor);
  };
}
