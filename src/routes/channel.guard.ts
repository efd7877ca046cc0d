import {
  type CanActivate,
  type ExecutionContext,
  Inject,
  Injectable,
  mixin,
  type OnModuleInit,
  Optional,
  ServiceUnavailableException,
  type Type,
} from '@nestjs/common';
import { ModuleRef } from '@nestjs/core';
import { UndecidedError } from '../connections/access.js';
import { checkChannels } from '../event/event.js';
import type { SseTypedChannel } from '../event/typed-channel.js';
import type { AnyDefinition } from '../typed-channels/define-channel.js';
import { Authorization } from './authorization.js';
import { authorizerOf, checkOf, injectProvided, type SseAuthorizer, type SseRule } from './authorizer.js';
import { keepGrant } from './granted-channels.js';
import { SseResponses } from '../http/sse-responses.js';
import { isGone, type PlatformRequest, type PlatformResponse } from '../http/platform.js';
import {
  type ChannelOption,
  type ChannelRequest,
  type ChannelSource,
  checkSource,
  definitionsOf,
  sourceOfOption,
} from './requested-channels.js';

/**
 * A guard for `@Sse()` routes: it checks the channels of a request, and `@GrantedChannels()` gives them
 * to the handler. Put it after the guards that authenticate the user: `@UseGuards(SessionGuard, ChannelGuard(OrderReaders, fromQuery))`.
 *
 * It waits until the channels are live, at most 2 s, so that no event is lost which is published after the response headers.
 * Authorize an `@Sse()` route in a guard: Nest may send the response headers before the handler has ended.
 *
 * @param allow which channels may be read; others are refused with 403, or with the status of the authorizer's exception
 * @param channel finds the channel or channels of a request: `fromQuery`, or for example `({ params }) => params.id`
 * @throws SseError `SSE_OPTIONS`, when the class is defined, for anything but a rule
 */
export function ChannelGuard(allow: SseRule, channel: ChannelSource): Type<CanActivate>;
/**
 * The same for typed channels, whose parameters are those of the route with the same names, before its pipes. An authorizer gets them decoded.
 *
 * @param allow which of the channels may be read
 * @param channel a definition of `defineChannel()`, or several
 * @throws SseError `SSE_OPTIONS`, when the class is defined
 */
export function ChannelGuard<D extends AnyDefinition>(
  allow: SseRule<D>,
  channel: D | readonly D[],
): Type<CanActivate>;
export function ChannelGuard(allow: SseRule, channel: ChannelOption): Type<CanActivate> {
  return guardOf(allow, channel, true);
}

/**
 * A guard for the application's own routes about a stream, such as one that stops it: it asks the rule of the stream's `@SseStream()` route.
 * `@UseGuards(SessionGuard, StreamGuard(JobReaders, ({ params }) => `job:${params.id}`))`. If the authorizer fails, the answer is 503.
 *
 * @param allow which streams may be read; others are refused with 403, or with the status of the authorizer's exception
 * @param stream finds the id of the stream in a request
 * @throws SseError `SSE_OPTIONS`, when the class is defined, for anything but a rule
 */
export function StreamGuard(allow: SseRule, stream: ChannelSource): Type<CanActivate> {
  checkSource(stream);
  return guardOf(allow, stream, false);
}

/** @param delivers whether the route delivers the channels */
function guardOf(allow: SseRule, option: ChannelOption, delivers: boolean): Type<CanActivate> {
  const check = checkOf(allow);
  const channel = sourceOfOption(option);
  const isTyped = definitionsOf(option) !== undefined;
  @Injectable()
  class RuleGuard implements CanActivate, OnModuleInit {
    authorizer?: SseAuthorizer;

    constructor(
      @Inject(ModuleRef) readonly moduleRef: ModuleRef,
      @Optional() @Inject(Authorization) readonly authorization = new Authorization(),
      @Optional() @Inject(SseResponses) readonly responses?: SseResponses,
    ) {}

    async onModuleInit(): Promise<void> {
      this.authorizer = await authorizerOf(this.moduleRef, allow, this.authorizer);
    }

    async canActivate(context: ExecutionContext): Promise<boolean> {
      const http = context.switchToHttp();
      const request = http.getRequest<ChannelRequest & PlatformRequest>();
      const response = http.getResponse<PlatformResponse>();
      this.authorization.checkOrigin(request, response);
      const isWanted = () => !isGone(response.raw ?? response);
      const found = channel(request);
      const channels = checkChannels(found);
      const typed = isTyped ? (found as readonly SseTypedChannel[]) : undefined;
      const question = { check, authorizer: this.authorizer, typed, context, isWanted };
      try {
        keepGrant(request, await this.authorization.grant(question, channels));
      } catch (error) {
        if (!(error instanceof UndecidedError)) throw error;
        if (!delivers) throw new ServiceUnavailableException();
        await this.authorization.postpone(response);
        // The request is answered. If the guard returned, Nest or an exception filter would answer it again.
        return new Promise(() => {});
      }
      // Nest sends the response headers before the handler's subscription is live. A client may then expect every event.
      if (delivers) await this.responses?.prepare(response, channels);
      return true;
    }
  }
  injectProvided(RuleGuard, allow);
  return mixin(RuleGuard);
}
