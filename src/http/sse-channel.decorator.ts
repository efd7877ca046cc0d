import { Get, Render, UseInterceptors } from '@nestjs/common';
import type { SseGrant } from '../access/access.js';
import { checkKeys, optionError } from '../sse.errors.js';
import type { SseRule } from './authorizer.js';
import { describeRoute } from './openapi.js';
import { VIEW } from './platform.js';
import { type ChannelSource, checkSource } from './requested-channels.js';
import { authorizingInterceptor, SseChannelInterceptor } from './sse-channel.interceptor.js';
import type { SseTarget } from './sse-target.js';

type Handler<T> = (...args: never[]) => T | Promise<T>;

/** Applies to methods that return a target. The second signature lets `applyDecorators()` take it, and fits no method. */
export interface SseChannelDecorator<Target> {
  <T extends Handler<Target>>(
    target: object,
    key: string | symbol,
    descriptor: TypedPropertyDescriptor<T>,
  ): void;
  (
    target: object,
    key: string | symbol,
  ): 'The handler has to return a channel, a list of channels, or { channel }';
}

/** Options of an `@SseChannel()` route. */
export interface SseChannelOptions {
  /**
   * Which channels may be read through the route. It holds for what the handler returns, and for what `channel` finds.
   *
   * @default what the handler returns
   */
  allow?: SseRule;
  /**
   * Where the channels come from, in place of the handler, which then returns nothing: `fromQuery` lets clients name them, in the
   * query's `channel`. It needs `allow`.
   *
   * @default what the handler returns
   */
  channel?: ChannelSource;
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
 * @SseChannel('news', { channel: fromQuery, allow: ['news', 'sports'] }) // GET /news?channel=sports
 * news() {}
 * ```
 */
export function SseChannel(
  path: string | string[] | undefined,
  options: Required<SseChannelOptions>,
): SseChannelDecorator<void>;
export function SseChannel(
  path?: string | string[],
  options?: { allow: SseRule },
): SseChannelDecorator<SseTarget | SseGrant>;
export function SseChannel(path?: string | string[], options: SseChannelOptions = {}) {
  checkKeys('SSE_OPTIONS', 'options', options, ['allow', 'channel']);
  if ('channel' in options) {
    checkSource(options.channel);
    if (!('allow' in options))
      throw optionError('allow', 'given, as `channel` finds the channels', 'nothing');
  }
  const interceptor =
    'allow' in options ? authorizingInterceptor(options.allow!, options.channel) : SseChannelInterceptor;
  return (target: object, key: string | symbol, descriptor: PropertyDescriptor) => {
    // Nest's last answer is to be told from those of interceptors and filters, and comes although a handler takes the response.
    Render(VIEW)(target, key, descriptor);
    UseInterceptors(interceptor)(target, key, descriptor);
    Get(path)(target, key, descriptor);
    describeRoute(target, key, options);
  };
}
