import {
  type CanActivate,
  createParamDecorator,
  type ExecutionContext,
  Inject,
  Injectable,
  mixin,
  type Type,
} from '@nestjs/common';
import type { SseGrant } from '../access/access.js';
import { checkChannels } from '../event.js';
import { SseError } from '../sse.errors.js';
import { Authorization } from './authorization.js';
import { checkOf, type SseAuthorizer, type SseRule } from './authorizer.js';
import { isGone } from './event-stream.js';
import { EventStreams, type PlatformRequest, type PlatformResponse } from './event-streams.js';
import { type ChannelRequest, requestedChannelsOf } from './requested-channels.js';

const grants = new WeakMap<object, SseGrant>();

/**
 * A guard for `@Sse()` routes that lets requests through for the channels they may read; `@AllowedChannels()` hands those
 * to the handler. Put it behind the guards that find out who asks: `@UseGuards(SessionGuard, AllowChannels(OrderReaders))`.
 *
 * Authorization of an `@Sse()` route belongs in a guard: by the time its handler is done, Nest may have sent the head.
 *
 * @param allow which channels may be read; others are refused with 403, or with the authorizer's 401
 * @param channelOf the channel or channels that a request is about. @default the query's `channel`
 * @throws SseError `SSE_OPTIONS`, when the class is defined, for what is no rule
 */
export function AllowChannels(
  allow: SseRule,
  channelOf: (request: ChannelRequest) => unknown = requestedChannelsOf,
): Type<CanActivate> {
  const check = checkOf(allow);
  @Injectable()
  class AllowChannelsGuard implements CanActivate {
    readonly authorizer?: SseAuthorizer;

    constructor(
      readonly authorization: Authorization,
      readonly streams: EventStreams,
    ) {}

    async canActivate(context: ExecutionContext): Promise<boolean> {
      const http = context.switchToHttp();
      const request = http.getRequest<ChannelRequest & PlatformRequest>();
      const response = http.getResponse<PlatformResponse>();
      this.streams.checkOrigin(request, response);
      const isWanted = () => !isGone(response.raw ?? response);
      const channels = checkChannels(channelOf(request));
      const question = { check, authorizer: this.authorizer, context, isWanted };
      grants.set(request, await this.authorization.grant(question, channels));
      return true;
    }
  }
  if (!check) Inject(allow as Type<SseAuthorizer>)(AllowChannelsGuard.prototype, 'authorizer');
  return mixin(AllowChannelsGuard);
}

/** What the route's `AllowChannels` guard has allowed this request to read, for `SseService.messages()`. */
export const AllowedChannels = createParamDecorator((_: unknown, context: ExecutionContext): SseGrant => {
  const grant = grants.get(context.switchToHttp().getRequest<object>());
  if (!grant) {
    throw new SseError('SSE_OPTIONS', '@AllowedChannels() needs the guard AllowChannels() on its route');
  }
  return grant;
});
