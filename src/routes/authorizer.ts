import { type ExecutionContext, Inject, Optional, type Type } from '@nestjs/common';
import type { ModuleRef } from '@nestjs/core';
import type { SseAccess } from '../connections/access.js';
import { nameOf, optionError, show } from '../common/sse.errors.js';
import type { SseTypedChannel } from '../event/typed-channel.js';
import type { AnyDefinition, SseParametersOf } from '../typed-channels/define-channel.js';
import { expressionOf, matcherOf } from './channel-pattern.js';

type Decisions = boolean | SseAccess | readonly (boolean | SseAccess)[];

/**
 * Decides whether a request may read a channel: an injectable class, named in `allow`.
 *
 * It is asked for each channel of a connection before that opens, also when a client reconnects, and again every
 * `revalidateMs` while the connection is open. The request is the same each time, so read the rights from where they
 * are stored. `false` is a 403, an `HttpException` its own status; after both, an `EventSource` does not retry. It fails closed:
 * any other result is a 403. If it throws another error, or does not decide within 5 s, nothing is delivered, and the
 * client retries.
 *
 * @example
 * ```ts
 * @Injectable()
 * export class OrderReaders implements SseAuthorizer {
 *   constructor(private readonly orders: OrdersService) {}
 *
 *   async authorize(channel: string, context: ExecutionContext) {
 *     const { user } = context.switchToHttp().getRequest();
 *     return (await this.orders.mayRead(user, channel)) && { user: user.id };
 *   }
 * }
 * ```
 */
export interface SseAuthorizer<Definition = string> {
  /**
   * A method of the class.
   *
   * @param channel in canonical form; on a route with typed channels its decoded parameters: `authorize({ id }, context)`
   * @param typed the typed channel itself
   * @returns whether the channel may be read. An object is a yes that also names the user: at least one key, none undefined
   */
  readonly authorize: (
    channel: SubjectOf<Definition>,
    context: ExecutionContext,
    typed: TypedOf<Definition>,
  ) => boolean | SseAccess | Promise<boolean | SseAccess>;

  /**
   * A method that decides about all channels of a connection at once, instead of `authorize()`, if it has several.
   *
   * @param channels as those of `authorize()`
   * @returns one decision for each channel, in their order, or one for all. A *no* for one channel refuses the connection
   */
  readonly authorizeAll?: (
    channels: SubjectOf<Definition>[],
    context: ExecutionContext,
    typed: readonly TypedOf<Definition>[] | undefined,
  ) => Decisions | Promise<Decisions>;
}

/** What an authorizer gets of a channel. */
type SubjectOf<Definition> = Definition extends AnyDefinition ? SseParametersOf<Definition> : Definition;

/** The typed channel; undefined on a route whose channels are not typed. */
type TypedOf<Definition> = Definition extends AnyDefinition
  ? SseTypedChannel<Definition>
  : SseTypedChannel | undefined;

/**
 * Which channels the clients of a route may read: a list of channels and patterns (`['news', 'order:{id}']`), a regular expression
 * for the whole name, or a class that decides. All others are refused with 403.
 */
export type SseRule<Definition = string> = readonly string[] | RegExp | Type<SseAuthorizer<Definition>>;

/**
 * The check of a rule without an authorizer; undefined for a class.
 *
 * @throws SseError `SSE_OPTIONS` for anything but a rule, `SSE_INPUT` for a list with an unacceptable channel
 */
export function checkOf(rule: SseRule): ((channel: string) => boolean) | undefined {
  if (isClass(rule)) return undefined;
  if (rule instanceof RegExp) return expressionOf(rule);
  if (!Array.isArray(rule)) {
    throw optionError(
      'allow',
      'a list of channels or patterns, a RegExp or a class with authorize()',
      show(rule),
    );
  }
  const matchers = rule.map(matcherOf);
  return (channel) => matchers.some((matches) => matches(channel));
}

const isClass = (rule: SseRule): rule is Type<SseAuthorizer> =>
  // An arrow function has no prototype.
  typeof rule === 'function' && typeof rule.prototype === 'object';

/** Makes Nest inject the authorizer of a rule as `authorizer`, if the module provides it. */
export function injectProvided(enhancer: Type, rule: SseRule): void {
  if (!isClass(rule)) return;
  Inject(rule)(enhancer.prototype as object, 'authorizer');
  Optional()(enhancer.prototype as object, 'authorizer');
}

const created = new WeakMap<ModuleRef, Map<Type<SseAuthorizer>, Promise<SseAuthorizer>>>();

/**
 * The authorizer of a rule: the provided one, or an instance that is created once per module, as Nest creates guards.
 *
 * @returns undefined for a rule without a class
 * @throws Nest's error if a dependency of the class is not provided
 * @throws SseError `SSE_OPTIONS` without `authorize()`, and for hooks without a provider: Nest would not call them
 */
export async function authorizerOf(
  moduleRef: ModuleRef,
  rule: SseRule,
  provided: SseAuthorizer | undefined,
): Promise<SseAuthorizer | undefined> {
  if (!isClass(rule)) return undefined;
  const authorizer = provided ?? (await create(moduleRef, rule));
  if (typeof authorizer.authorize === 'function') return authorizer;
  throw optionError('allow', 'a class with authorize()', nameOf(authorizer));
}

function create(moduleRef: ModuleRef, type: Type<SseAuthorizer>): Promise<SseAuthorizer> {
  const ofModule = created.get(moduleRef) ?? new Map<Type<SseAuthorizer>, Promise<SseAuthorizer>>();
  created.set(moduleRef, ofModule);
  const authorizer = ofModule.get(type) ?? moduleRef.create(type).then(checkHooks);
  ofModule.set(type, authorizer);
  return authorizer;
}

const HOOKS = [
  'onModuleInit',
  'onApplicationBootstrap',
  'onModuleDestroy',
  'beforeApplicationShutdown',
  'onApplicationShutdown',
];

function checkHooks(authorizer: SseAuthorizer): SseAuthorizer {
  const hook = HOOKS.find((name) => name in authorizer);
  if (hook === undefined) return authorizer;
  const name = nameOf(authorizer);
  throw optionError('allow', `among the providers of the module, as ${name} has ${hook}()`, 'none of them');
}
