import { createParamDecorator, type ExecutionContext, ForbiddenException } from '@nestjs/common';
import { SseError } from '../common/sse.errors.js';
import type { SseGrant } from '../connections/access.js';

const grants = new WeakMap<object, SseGrant>();

/** Keeps what a guard has granted to a request. */
export const keepGrant = (request: object, grant: SseGrant): void => void grants.set(request, grant);

/**
 * A guard sees the parameters of a request before the pipes, which may name other channels than it has granted.
 *
 * @throws ForbiddenException for a channel that the guard of the route, if it has one, has not granted
 */
export function checkGranted(request: object, channels: readonly string[]): void {
  const granted = grants.get(request)?.channels ?? channels;
  if (!channels.every((channel) => granted.includes(channel))) throw new ForbiddenException();
}

/**
 * The channels that the route's `ChannelGuard` has granted, for `SseService.messages()`, or for an `@SseChannel()` handler to
 * return.
 */
export const GrantedChannels = createParamDecorator((_: unknown, context: ExecutionContext): SseGrant => {
  const grant = grants.get(context.switchToHttp().getRequest<object>());
  if (!grant) {
    throw new SseError('SSE_OPTIONS', '@GrantedChannels() needs the guard ChannelGuard() on its route');
  }
  return grant;
});
