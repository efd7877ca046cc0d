import {
  type ExecutionContext,
  ForbiddenException,
  HttpException,
  Inject,
  Injectable,
  Logger,
  Optional,
} from '@nestjs/common';
import { checkAccess, isExpired, mergeAccess, type SseAccess, SseGrant } from '../access/access.js';
import { Limiter } from '../limiter.js';
import { show } from '../sse.errors.js';
import { RESOLVED_OPTIONS, type ResolvedOptions } from '../sse.options.js';
import type { SseAuthorizer } from './authorizer.js';
import { Origins } from './origins.js';
import type { PlatformRequest, PlatformResponse } from './platform.js';

/** How long an authorizer may take to answer, in ms. */
const ANSWER_MS = 5_000;
/** Questions to one authorizer at once in a process: its clients may all come back in one moment. */
const MAX_QUESTIONS = 64;

/** Whom a request is put to. */
export interface Question {
  /** A rule that needs nobody to be asked. */
  readonly check?: (channel: string) => boolean;
  readonly authorizer?: SseAuthorizer;
  readonly context: ExecutionContext;
  /** Whether the client is still there. */
  readonly isWanted: () => boolean;
}

/** Finds out who may read what, and takes everything but a clear yes for a no. */
@Injectable()
export class Authorization {
  readonly #logger = new Logger('SseModule');
  /** By authorizer: one that is slow, or does not answer, keeps nobody else's waiting. */
  readonly #questions = new WeakMap<SseAuthorizer, Limiter>();
  readonly #origins: Origins;

  /** @param options absent where a test has no `SseModule` */
  constructor(@Optional() @Inject(RESOLVED_OPTIONS) options?: ResolvedOptions) {
    this.#origins = new Origins(options?.origins ?? []);
  }

  /** Refuses pages of other origins, and tells those of the list that they may read. @throws ForbiddenException */
  checkOrigin(request: PlatformRequest, response: PlatformResponse): void {
    this.#origins.check(request, response);
  }

  /** @throws HttpException 401 or 403, which says nothing of the channels */
  async grant(question: Question, channels: readonly string[]): Promise<SseGrant> {
    const askedAt = Date.now();
    const { check } = question;
    if (check) {
      if (!channels.every(check)) throw new ForbiddenException();
      return new SseGrant({ askedAt, channels, access: {} });
    }
    const renew = () => this.#ask(question, channels);
    return new SseGrant({ askedAt, channels, access: await renew(), renew });
  }

  async #ask({ authorizer, context, isWanted }: Question, channels: readonly string[]): Promise<SseAccess> {
    const questions = this.#questions.get(authorizer!) ?? new Limiter(MAX_QUESTIONS);
    this.#questions.set(authorizer!, questions);
    const answers: SseAccess[] = [];
    for (const channel of channels) {
      const answer = await questions.run(async () =>
        isWanted() ? this.#answer(authorizer!, channel, context) : false,
      );
      if (answer === false) throw new ForbiddenException();
      answers.push(answer);
    }
    return mergeAccess(answers);
  }

  async #answer(
    authorizer: SseAuthorizer,
    channel: string,
    context: ExecutionContext,
  ): Promise<SseAccess | false> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`no answer within ${ANSWER_MS} ms`)), ANSWER_MS);
    });
    try {
      return accessOf(await Promise.race([authorizer.authorize(channel, context), late]));
    } catch (error) {
      if (error instanceof HttpException && [401, 403].includes(error.getStatus())) throw error;
      this.#logger.error(
        `${authorizer.constructor.name} refuses, as it failed: ${show((error as Error)?.message)}`,
      );
      return false;
    } finally {
      clearTimeout(timer);
    }
  }
}

/** Whoever answers with something else has made a mistake, and is to let nobody in by it. */
function accessOf(verdict: unknown): SseAccess | false {
  if (!verdict) return false;
  if (verdict === true) return {};
  const { user, issuedAt, expiresAt } = checkAccess(verdict);
  return isExpired({ expiresAt }) ? false : { user, issuedAt, expiresAt };
}
