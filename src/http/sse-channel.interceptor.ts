import {
  type CallHandler,
  type ExecutionContext,
  Inject,
  Injectable,
  mixin,
  type NestInterceptor,
  type Type,
} from '@nestjs/common';
import { firstValueFrom, type Observable, of } from 'rxjs';
import { mergeAccess } from '../access/access.js';
import { Authorization, type Question } from './authorization.js';
import { checkOf, type SseAuthorizer, type SseRule } from './authorizer.js';
import { isGone } from './event-stream.js';
import { EventStreams, type PlatformRequest, type PlatformResponse } from './event-streams.js';
import { requestedChannelsOf } from './requested-channels.js';
import { checkTarget, type SseTarget } from './sse-target.js';

const SERVED = of(undefined);

/** Hands the response over once the handler has named its target; before that, errors are Nest's to answer. */
@Injectable()
export class SseChannelInterceptor implements NestInterceptor<SseTarget | undefined, void> {
  constructor(
    private readonly streams: EventStreams,
    private readonly authorization: Authorization,
  ) {}

  protected get rule(): Pick<Question, 'check' | 'authorizer'> | undefined {
    return undefined;
  }

  async intercept(
    context: ExecutionContext,
    next: CallHandler<SseTarget | undefined>,
  ): Promise<Observable<void>> {
    const http = context.switchToHttp();
    const request = http.getRequest<PlatformRequest>();
    const response = http.getResponse<PlatformResponse>();
    this.streams.checkOrigin(request, response);
    const returned = await firstValueFrom(next.handle());
    const { rule } = this;
    if (!rule) {
      await this.streams.serve(request, response, checkTarget(returned));
      return SERVED;
    }
    const target = checkTarget(returned ?? requestedChannelsOf(request));
    const raw = response.raw ?? response;
    const question = { ...rule, context, isWanted: () => !isGone(raw) };
    const { askedAt, access, renew } = await this.authorization.grant(question, target.channels);
    await this.streams.serve(request, response, {
      ...target,
      askedAt,
      access: mergeAccess([target.access, access]),
      renew: renew && (async () => mergeAccess([target.access, await renew()])),
    });
    return SERVED;
  }
}

/** The interceptor of a route with a rule. A class is Nest's to make, in the module of the route's controller. */
export function authorizingInterceptor(allow: SseRule): Type<NestInterceptor> {
  const check = checkOf(allow);
  class AuthorizingInterceptor extends SseChannelInterceptor {
    readonly authorizer?: SseAuthorizer;

    protected override get rule() {
      return { check, authorizer: this.authorizer };
    }
  }
  if (!check) Inject(allow as Type<SseAuthorizer>)(AuthorizingInterceptor.prototype, 'authorizer');
  return mixin(AuthorizingInterceptor);
}
