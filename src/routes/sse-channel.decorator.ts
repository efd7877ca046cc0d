import { Get, Render, UseInterceptors } from '@nestjs/common';
import type { SseGrant } from '../connections/access.js';
import { checkKeys, optionError } from '../common/sse.errors.js';
import type { AnyDefinition } from '../typed-channels/define-channel.js';
import type { SseRule } from './authorizer.js';
import { describeRoute } from './openapi.js';
import { VIEW } from '../http/platform.js';
import { observeHandler } from './piped-parameters.js';
import {
  type ChannelOption,
  type ChannelSource,
  definitionsOf,
  sourceOfOption,
} from './requested-channels.js';
import { SseChannelInterceptor, withRule, withWriteInterval } from './sse-channel.interceptor.js';
import type { SseTarget } from './sse-target.js';

type Handler<T> = (...args: never[]) => T | Promise<T>;

/** Applies to methods that return a target. The second signature lets `applyDecorators()` take it, and fits no method. */
export interface SseChannelDecorator<
  Target,
  Hint = 'The handler has to return a channel, a list of channels, or { channel }',
> {
  <T extends Handler<Target>>(
    target: object,
    key: string | symbol,
    descriptor: TypedPropertyDescriptor<T>,
  ): void;
  (target: object, key: string | symbol): Hint;
}

/** Options of an `@SseChannel()` route. */
export interface SseChannelOptions {
  /**
   * Which channels may be read through the route: it applies to the channels that the handler returns, or that `channel` finds.
   *
   * @default what the handler returns
   */
  allow?: SseRule;
  /**
   * Finds the channels of a request, instead of the handler, which then returns nothing: `fromQuery` lets clients name them, in the
   * query's `channel`. It needs `allow`.
   *
   * @default what the handler returns
   */
  channel?: ChannelSource;
  /**
   * How long events may wait for further ones, to go out in one write, in ms, 0–1,000; as the option of the module.
   *
   * @default that of the module
   */
  writeIntervalMs?: number;
}

type WriteOptions = Pick<SseChannelOptions, 'writeIntervalMs'>;

/** Options of an `@SseChannel()` route that delivers typed channels. */
export interface SseTypedChannelOptions<Definition extends AnyDefinition> extends Pick<
  SseChannelOptions,
  'writeIntervalMs'
> {
  /**
   * Definitions of `defineChannel()`. Their parameters are those of the route with the same names, as the pipes of the handler's `@Param()` make
   * them; without a pipe, as they are in the path. The handler returns nothing.
   */
  channel: Definition | readonly Definition[];
  /**
   * Which of the channels may be read. An authorizer gets the decoded parameters of each: `authorize({ id }, context)`.
   *
   * @default all that the route can name
   */
  allow?: SseRule<Definition>;
}

/**
 * Declares a GET route that delivers channels to an `EventSource`: the handler returns the channels, and the module
 * writes their events to the socket itself, each encoded once for all of its subscribers.
 *
 * Guards, pipes, interceptors and exception filters apply as on any route, and errors before the first byte are real
 * statuses. Response headers are sent once the subscription is live (or after 2 s without a broker): an event published
 * after a client got the headers reaches it. The response begins with `sse.open`, or resumes after the request's
 * Last-Event-ID (header, otherwise query `lastEventId`). If that is not possible, the client gets one `sse.reset`.
 *
 * With `allow`, other channels are refused before the response begins (403, or the status of the authorizer's exception),
 * and connections end when an authorizer no longer allows them: see `SseAuthorizer`.
 *
 * @param path route path, as for `@Get()`
 * @throws SseError `SSE_OPTIONS`, when the class is defined, for an unacceptable option
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
  options: SseChannelOptions & Required<Pick<SseChannelOptions, 'allow' | 'channel'>>,
): SseChannelDecorator<void>;
export function SseChannel<Definition extends AnyDefinition>(
  path: string | string[] | undefined,
  options: SseTypedChannelOptions<Definition>,
): SseChannelDecorator<void>;
export function SseChannel(
  path?: string | string[],
  options?: (WriteOptions & { allow: SseRule }) | Required<WriteOptions>,
): SseChannelDecorator<SseTarget | SseGrant>;
export function SseChannel(
  path?: string | string[],
  given: WriteOptions & { channel?: ChannelOption; allow?: SseRule } = {},
): unknown {
  checkKeys('SSE_OPTIONS', 'options', given, ['allow', 'channel', 'writeIntervalMs']);
  const definitions = definitionsOf(given.channel);
  // The channels of definitions are what the route names.
  const options = {
    ...(definitions && { allow: definitions.map(({ pattern }) => pattern as string) }),
    ...given,
  };
  if ('channel' in options) {
    sourceOfOption(options.channel);
    if (!('allow' in options))
      throw optionError('allow', 'given, as `channel` finds the channels', 'nothing');
  }
  const base =
    'writeIntervalMs' in given ? withWriteInterval(SseChannelInterceptor, given) : SseChannelInterceptor;
  const interceptor = 'allow' in options ? withRule(base, options.allow!, options.channel) : base;
  return (target: object, key: string | symbol, descriptor: PropertyDescriptor) => {
    if (definitions)
      observeHandler(
        [target, key, descriptor],
        definitions.flatMap(({ parameters }) => parameters),
      );
    // Nest renders a view last, also if the handler injects the response, so an answer of an interceptor or filter comes before it.
    Render(VIEW)(target, key, descriptor);
    UseInterceptors(interceptor)(target, key, descriptor);
    Get(path)(target, key, descriptor);
    describeRoute(target, key, { ...given, ...(definitions && { definitions }) });
  };
}
