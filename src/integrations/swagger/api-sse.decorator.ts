import { checkKeys, optionError, show } from '../../common/sse.errors.js';
import type { SseRule } from '../../routes/authorizer.js';
import { describeRoute } from '../../routes/openapi.js';
import { type ChannelSource, definitionsOf } from '../../routes/requested-channels.js';
import type { AnyDefinition } from '../../typed-channels/define-channel.js';

/** What else `@ApiSse()` describes. */
export interface ApiSseOptions<Definition extends AnyDefinition = AnyDefinition> {
  /** The rule of the route's `ChannelGuard()`: for the answers 401 and 403, and the `ticket` of `SseTickets`. */
  allow?: SseRule<Definition> | SseRule;
  /** `fromQuery`, if the route takes its channels from the query: for the parameter `channel`, and the answer 400. */
  channel?: ChannelSource;
}

/**
 * Describes the events of a route for @nestjs/swagger: on `@Sse()`, `@SseStream()` and any other route. An `@SseChannel()` whose `channel` option is
 * a definition is described by itself. `describeEvents()` adds the schemas to the document. Other decorators of the route have priority.
 *
 * @param definitions of `defineChannel()`: one, or a list
 * @throws SseError `SSE_OPTIONS`, when the class is defined, for anything but definitions, and unknown options
 * @example
 * ```ts
 * @Sse('orders/:id/events')
 * @UseGuards(ChannelGuard(OrderReaders, orders))
 * @ApiSse(orders, { allow: OrderReaders })
 * events(@Param('id') id: string, @LastEventId() lastEventId?: string) {
 *   return this.sse.messages(orders({ id }), { lastEventId });
 * }
 * ```
 */
export function ApiSse<Definition extends AnyDefinition>(
  definitions: Definition | readonly Definition[],
  options: ApiSseOptions<Definition> = {},
): MethodDecorator {
  checkKeys('SSE_OPTIONS', 'options', options, ['allow', 'channel']);
  const list = definitionsOf(definitions);
  if (!list) throw optionError('definitions', 'of defineChannel()', show(definitions));
  return (target, key) =>
    describeRoute(target, key, { ...(options as ApiSseOptions & { allow?: SseRule }), definitions: list });
}
