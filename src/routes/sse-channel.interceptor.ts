import {
  type CallHandler,
  type ExecutionContext,
  Inject,
  Injectable,
  mixin,
  type NestInterceptor,
  type OnModuleInit,
  Optional,
  ServiceUnavailableException,
  type Type,
} from '@nestjs/common';
import { ModuleRef } from '@nestjs/core';
import { firstValueFrom, type Observable, of } from 'rxjs';
import { mergeGrant, SseGrant, UndecidedError } from '../connections/access.js';
import { inputError, SseError } from '../common/sse.errors.js';
import type { SseTypedChannel } from '../event/typed-channel.js';
import { checkWriteInterval } from '../options/resolve-options.js';
import { SseService } from '../sse.service.js';
import { Authorization, type Question } from './authorization.js';
import { checkGranted } from './granted-channels.js';
import { authorizerOf, checkOf, injectProvided, type SseAuthorizer, type SseRule } from './authorizer.js';
import type { ResponseTarget } from '../http/response-connection.js';
import { SseResponses } from '../http/sse-responses.js';
import { isGone, type PlatformRequest, type PlatformResponse, serveAtEnd } from '../http/platform.js';
import { callOf, type HandlerCall } from './piped-parameters.js';
import {
  type ChannelOption,
  type ChannelRequest,
  type ChannelSource,
  checkOwn,
  definitionsOf,
  listOf,
  sourceOfOption,
} from './requested-channels.js';
import { checkTarget } from './sse-target.js';

const SERVED = of(undefined);

/** What a route allows, and where its channels come from if its handler does not return them. */
interface Rule extends Pick<Question, 'check' | 'authorizer'> {
  readonly channel?: ChannelSource;
  /** Whether the channels come from definitions. */
  readonly isTyped: boolean;
}

/** A target, and its channels where they come from definitions. */
type NamedTarget = ResponseTarget & Pick<Question, 'typed'>;

/**
 * Finds the target of a request, and has it served in place of the answer that Nest sends when all interceptors have
 * completed; before that, errors are Nest's to answer.
 */
@Injectable()
export class SseChannelInterceptor implements NestInterceptor<unknown, undefined>, OnModuleInit {
  /** Without `SseModule`, in a unit test of a controller, its routes serve nothing. */
  constructor(
    @Inject(ModuleRef) protected readonly moduleRef: ModuleRef,
    @Optional() @Inject(Authorization) protected readonly authorization = new Authorization(),
    @Optional() @Inject(SseResponses) private readonly responses?: SseResponses,
    @Optional() @Inject(SseService) private readonly sse?: SseService,
  ) {}

  async onModuleInit(): Promise<void> {
    if (!this.sse) throw withoutModule();
  }

  /** How long events wait for further ones, if the route has a value of its own. */
  protected readonly writeIntervalMs: number | undefined = undefined;

  protected get rule(): Rule | undefined {
    return undefined;
  }

  async intercept(context: ExecutionContext, next: CallHandler<unknown>): Promise<Observable<undefined>> {
    const { responses } = this;
    if (!responses) throw withoutModule();
    const http = context.switchToHttp();
    const request = http.getRequest<PlatformRequest>();
    const response = http.getResponse<PlatformResponse>();
    this.authorization.checkOrigin(request, response);
    const askedAt = Date.now();
    try {
      await this.decide(context);
      const run = () => firstValueFrom(next.handle());
      const returned = this.rule?.isTyped ? await callOf(run) : await run();
      // A guard has asked earlier than this interceptor.
      const decided = await this.#targetOf(returned, context, request, response);
      const { writeIntervalMs } = this;
      const target = await this.prepare({ askedAt, writeIntervalMs, ...decided }, request);
      if (target) serveAtEnd(response, () => responses.serve(request, response, target));
      else serveAtEnd(response, () => responses.answerNothing(response));
    } catch (error) {
      if (!(error instanceof UndecidedError)) throw error;
      if (!this.retries(request)) throw new ServiceUnavailableException();
      serveAtEnd(response, () => this.authorization.postpone(response));
    }
    return SERVED;
  }

  /** Whether the client retries after an empty response. One that sends a request of another method expects an answer to it. */
  protected retries({ method }: PlatformRequest): boolean {
    return method === 'GET';
  }

  /** Decides before the handler runs, where the handler may not run without a permission. */
  protected async decide(_context: ExecutionContext): Promise<void> {}

  /** Checks a target when it is decided that the client may have it. @returns undefined if there is nothing to deliver */
  protected async prepare(
    target: ResponseTarget,
    _request: PlatformRequest,
  ): Promise<ResponseTarget | undefined> {
    this.responses!.check(target);
    return target;
  }

  async #targetOf(
    returned: unknown,
    context: ExecutionContext,
    request: PlatformRequest,
    response: PlatformResponse,
  ): Promise<ResponseTarget> {
    const { rule } = this;
    const { typed, ...target } = rule?.isTyped
      ? await this.#typed(returned as HandlerCall, request as unknown as ChannelRequest)
      : this.named(returned, request);
    if (!rule) return target;
    if (rule.channel) checkGranted(request, target.channels);
    const raw = response.raw ?? response;
    const { check, authorizer } = rule;
    const question = { check, authorizer, typed, context, isWanted: () => !isGone(raw) };
    const { access, renew } = await this.authorization.grant(question, target.channels);
    const before = target.renew;
    return {
      ...target,
      access: mergeGrant(target.access, access),
      renew:
        (renew ?? before) &&
        (async () => mergeGrant((await before?.()) ?? target.access, (await renew?.()) ?? access)),
    };
  }

  /** The target that a handler has returned, or the request names. */
  protected named(returned: unknown, request: PlatformRequest): NamedTarget {
    const channel = this.rule?.channel;
    if (!channel) {
      if (returned instanceof SseGrant) return returned;
      const named = listOf(returned);
      const target = checkTarget(named);
      checkOwn(named, request);
      return target;
    }
    checkNothing(returned);
    return checkTarget({ channel: channel(request as unknown as ChannelRequest) });
  }

  /** The typed channels of a route, by the parameters that its pipes have made. Interceptors see none of it. */
  async #typed(
    { parameters, returned }: HandlerCall,
    { params, query }: ChannelRequest,
  ): Promise<NamedTarget> {
    if (!parameters)
      throw new Error('Expected the handler to be called, as pipes make the parameters of its channels');
    checkNothing(await returned);
    const given = { params: { ...params, ...parameters } as Record<string, string>, query };
    const typed = this.rule!.channel!(given) as readonly SseTypedChannel[];
    return { ...checkTarget({ channel: typed }), typed };
  }
}

function checkNothing(returned: unknown): void {
  if (returned === undefined) return;
  throw inputError('target', 'nothing, as the option `channel` finds the channels', returned);
}

const withoutModule = () =>
  new SseError(
    'SSE_OPTIONS',
    '@SseChannel() needs SseModule: import SseModule.forRoot() in the root module (a unit test may provide an SseService of its own)',
  );

/** An interceptor of a route with a rule. */
export function withRule(
  base: typeof SseChannelInterceptor,
  allow: SseRule,
  option?: ChannelOption,
): Type<NestInterceptor> {
  const check = checkOf(allow);
  const channel = option === undefined ? undefined : sourceOfOption(option);
  const isTyped = definitionsOf(option) !== undefined;
  class AuthorizingInterceptor extends base {
    authorizer?: SseAuthorizer;

    override async onModuleInit(): Promise<void> {
      await super.onModuleInit();
      this.authorizer = await authorizerOf(this.moduleRef, allow, this.authorizer);
    }

    protected override get rule() {
      return { check, authorizer: this.authorizer, channel, isTyped };
    }
  }
  injectProvided(AuthorizingInterceptor, allow);
  return mixin(AuthorizingInterceptor);
}

/**
 * An interceptor of a route with a time between writes of its own.
 *
 * @throws SseError `SSE_OPTIONS` for anything but such a time
 */
export function withWriteInterval(
  base: typeof SseChannelInterceptor,
  { writeIntervalMs }: { writeIntervalMs?: number },
): typeof SseChannelInterceptor {
  checkWriteInterval(writeIntervalMs);
  class WaitingInterceptor extends base {
    protected override readonly writeIntervalMs = writeIntervalMs;
  }
  return mixin(WaitingInterceptor);
}
