import { type ExecutionContext, Inject, Optional, type Type } from '@nestjs/common';
import type { ModuleRef } from '@nestjs/core';
import type { SseAccess } from '../access/access.js';
import { nameOf, optionError, show } from '../sse.errors.js';
import { expressionOf, matcherOf } from './channel-pattern.js';

type Answers = boolean | SseAccess | readonly (boolean | SseAccess)[];

/**
 * Decides who may read a channel: an injectable class, named in `allow`.
 *
 * It is asked for each channel of a stream before that starts, also when a client comes back, and again every
 * `revalidateMs` while the stream is open: from the same request, so the rights themselves are to be read from where they
 * are kept. `false` is a 403, an `HttpException` its own status; after both, an `EventSource` does not retry. It fails closed:
 * any other answer is a 403. Where it throws something else, or has no answer within 5 s, nothing is delivered, and the
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
export interface SseAuthorizer {
  /**
   * @param channel in canonical form
   * @returns whether the channel may be read; if it may, an object says also who reads it: at least one key, none undefined
   */
  authorize(channel: string, context: ExecutionContext): boolean | SseAccess | Promise<boolean | SseAccess>;

  /**
   * One question in place of one for each channel, for a connection of several channels.
   *
   * @param channels in canonical form
   * @returns an answer for each of them, in their order, or one for all; a *no* for one of them refuses the connection
   */
  authorizeAll?(channels: readonly string[], context: ExecutionContext): Answers | Promise<Answers>;
}

/**
 * Which channels a route lets its clients read: those of a list of channels and patterns (`['news', 'order:{id}']`), those whose
 * whole name matches an expression, or those that a class allows. All others are refused with 403.
 */
export type SseRule = readonly string[] | RegExp | Type<SseAuthorizer>;

/**
 * The check of a rule that needs nobody to be asked; undefined for a class.
 *
 * @throws SseError `SSE_OPTIONS` for what is no rule, `SSE_INPUT` for a list of what are no channels
 */
export function checkOf(rule: SseRule): ((channel: string) => boolean) | undefined {
  // Of the function of a class, not an arrow function. Where the class declares it as a field, its instance has it.
  if (typeof rule === 'function' && typeof rule.prototype === 'object') return undefined;
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

/** Has Nest inject an authorizer that is among the providers of the module, as `authorizer`. */
export function injectProvided(enhancer: Type, authorizer: Type<SseAuthorizer>): void {
  Inject(authorizer)(enhancer.prototype as object, 'authorizer');
  Optional()(enhancer.prototype as object, 'authorizer');
}

const created = new WeakMap<ModuleRef, Map<Type<SseAuthorizer>, Promise<SseAuthorizer>>>();

/**
 * An authorizer that is no provider: made once for each module, as Nest makes guards.
 *
 * @throws Error as Nest, where it lacks a provider
 * @throws SseError `SSE_OPTIONS` for one with hooks, which Nest calls for providers only
 */
export function authorizerOf(moduleRef: ModuleRef, type: Type<SseAuthorizer>): Promise<SseAuthorizer> {
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

/** @throws SseError `SSE_OPTIONS` for an instance of another class */
export function checkAuthorizer(authorizer: SseAuthorizer): SseAuthorizer {
  if (typeof authorizer.authorize === 'function') return authorizer;
  throw optionError('allow', 'a class with authorize()', nameOf(authorizer));
}
