import {
  type ExecutionContext,
  ForbiddenException,
  HttpException,
  Inject,
  Injectable,
  Optional,
} from '@nestjs/common';
import {
  type Access,
  checkAccess,
  isExpired,
  mergeAccess,
  type SseAccess,
  SseGrant,
  UndecidedError,
} from '../connections/access.js';
import { Connections } from '../connections/connections.js';
import { FailureLog } from '../common/failure-log.js';
import { Limiter } from '../common/limiter.js';
import type { SseTypedChannel } from '../event/typed-channel.js';
import { isPlain } from '../common/objects.js';
import { inputError, nameOf, reasonOf } from '../common/sse.errors.js';
import { DEFAULTS, RESOLVED_OPTIONS, type ResolvedOptions } from '../options/sse.options.js';
import { parametersOf } from '../typed-channels/define-channel.js';
import type { SseAuthorizer } from './authorizer.js';
import { Origins } from './origins.js';
import { isGone, type PlatformRequest, type PlatformResponse } from '../http/platform.js';
import { retryLater } from '../http/retry-later.js';
import { sourceOf } from '../http/source.js';

/** How long an authorizer may take for all channels of a connection, the wait for its turn included, in ms. */
const ANSWER_MS = 5_000;
/** Decisions of one authorizer in flight on a node. All of its clients may reconnect at the same time. */
const MAX_QUESTIONS = 64;

/** A rule or an authorizer, and the request it decides about. */
export interface Question {
  /** The check of a rule without an authorizer. */
  readonly check?: (channel: string) => boolean;
  readonly authorizer?: SseAuthorizer;
  /** The channels, where they come from definitions: the authorizer gets their parameters. */
  readonly typed?: readonly SseTypedChannel[];
  readonly context: ExecutionContext;
  /** Whether the client is still connected. */
  readonly isWanted: () => boolean;
}

/** Decides which channels a request may read. Anything but a clear yes is a no. */
@Injectable()
export class Authorization {
  readonly #failures = new FailureLog();
  /** By authorizer: a slow authorizer must not delay the others. */
  readonly #questions = new WeakMap<SseAuthorizer, Limiter>();
  readonly #origins: Origins;

  /** @param options absent, like the connections, in a unit test without `SseModule` */
  constructor(
    @Optional() @Inject(RESOLVED_OPTIONS) private readonly options?: ResolvedOptions,
    @Optional() private readonly connections?: Connections,
  ) {
    this.#origins = new Origins(options?.origins ?? []);
  }

  /** Refuses pages of other origins, and sets CORS headers for the allowed ones. @throws ForbiddenException */
  checkOrigin(request: PlatformRequest, response: PlatformResponse): void {
    this.#origins.check(request, response);
  }

  /**
   * @throws HttpException 403, which names no channel, or the authorizer's own
   * @throws UndecidedError if the authorizer failed: `postpone()` answers the request then
   */
  async grant(question: Question, channels: readonly string[]): Promise<SseGrant> {
    const askedAt = Date.now();
    const { check, context } = question;
    const source = sourceOf(context.switchToHttp().getRequest<PlatformRequest>());
    if (check) {
      if (!channels.every(check)) throw new ForbiddenException();
      return new SseGrant({ askedAt, channels, access: {}, source });
    }
    const renew = () => this.#ask(question, channels);
    return new SseGrant({ askedAt, channels, access: await renew(), source, renew });
  }

  /** Answers a request without a decision: nothing is delivered, and the client retries. */
  async postpone(response: PlatformResponse): Promise<void> {
    if (!isGone(response.raw ?? response)) this.connections?.refuse();
    await retryLater(response, this.options?.retryMs ?? DEFAULTS.retryMs);
  }

  /** Asks for all channels in parallel, so the time limit does not depend on their number. */
  async #ask(question: Question, channels: readonly string[]): Promise<Access> {
    const authorizer = question.authorizer!;
    const questions = this.#questions.get(authorizer) ?? new Limiter(MAX_QUESTIONS);
    this.#questions.set(authorizer, questions);
    let isOver = false;
    let giveUp: (error: Error) => void = () => {};
    const over = new Promise<never>((_, reject) => (giveUp = reject));
    over.catch(() => undefined);
    const timer = setTimeout(() => giveUp(new Error(`no answer within ${ANSWER_MS} ms`)), ANSWER_MS);
    const ask = async (part: readonly string[]) => {
      if (isOver || !question.isWanted()) throw new UndecidedError('The client has left');
      const answering = decide(authorizer, part, question);
      const answer: unknown = await Promise.race([answering, over]);
      // A list of another length is no decision.
      const isList = part.length > 1 && Array.isArray(answer) && answer.length === part.length;
      return (isList ? Array.from(answer as unknown[]) : [answer]).map((one) =>
        this.#accept(one, authorizer),
      );
    };
    try {
      const parts = authorizer.authorizeAll ? [channels] : channels.map((channel) => [channel]);
      const answers = parts.map((part) => questions.run(() => ask(part)));
      return mergeAccess((await Promise.race([Promise.all(answers), over])).flat());
    } catch (error) {
      if (error instanceof HttpException || error instanceof UndecidedError) throw error;
      this.#fail(`${nameOf(authorizer)} did not decide, so clients retry`, error);
      throw new UndecidedError('The authorizer failed', { cause: error });
    } finally {
      isOver = true;
      clearTimeout(timer);
      // After a no for one channel, pending decisions about the others must not occupy the limiter.
      giveUp(new UndecidedError('It is decided'));
    }
  }

  #fail(what: string, error: unknown): void {
    const kind = error instanceof Error ? error.name : typeof error;
    this.#failures.error(`${what} ${kind}`, `${what}: ${reasonOf(error)}`);
  }

  /** @throws ForbiddenException for anything but a clear yes */
  #accept(answer: unknown, authorizer: SseAuthorizer): SseAccess {
    let access: SseAccess | false = false;
    try {
      access = accessOf(answer);
    } catch (error) {
      this.#fail(`${nameOf(authorizer)} refuses, because its answer is no decision`, error);
    }
    if (access === false) throw new ForbiddenException();
    return access;
  }
}

/** Calls the authorizer with the names of channels; with their parameters, where they come from definitions. */
function decide(given: SseAuthorizer, names: readonly string[], { typed, context }: Question): unknown {
  const authorizer = given as SseAuthorizer<unknown>;
  const channels = typed && names.map((name) => typed.find((channel) => channel.name === name)!);
  const subjects = channels?.map(parametersOf) ?? [...names];
  return names.length > 1
    ? authorizer.authorizeAll!(subjects, context, channels)
    : authorizer.authorize(subjects[0]!, context, channels?.[0]);
}

/** Anything but a documented decision is a mistake, and must not open a connection. @throws SseError `SSE_INPUT` */
function accessOf(answer: unknown): SseAccess | false {
  if (typeof answer === 'boolean') return answer && {};
  if (typeof answer !== 'object' || answer === null || !isPlain(answer)) throw noAnswer(answer);
  const access = checkAccess(answer);
  const given = Object.entries(access);
  // A query that found no user must not open a connection without one.
  const missing = given.find(([, value]) => value === undefined);
  if (missing) throw inputError(missing[0], 'left out or given', undefined);
  if (given.length === 0) throw noAnswer(answer);
  return isExpired(access) ? false : { ...access };
}

const noAnswer = (answer: unknown) =>
  inputError('answer', 'true, false, or an object with `user`, `session`, `issuedAt` or `expiresAt`', answer);
