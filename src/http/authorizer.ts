import { type ExecutionContext, Inject, Optional, type Type } from '@nestjs/common';
import type { ModuleRef } from '@nestjs/core';
import type { SseAccess } from '../access/access.js';
import { checkChannel } from '../event.js';
import { SseError, show } from '../sse.errors.js';

/** Whether a channel may be read, and what is known of the reader. */
export type SseVerdict = boolean | SseAccess;

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
  /** @param channel in canonical form */
  authorize(channel: string, context: ExecutionContext): SseVerdict | Promise<SseVerdict>;
}

/**
 * Which channels a route lets its clients read: those of a list, those whose whole name matches a pattern, or those that
 * an injectable class allows. All others are refused with 403.
 */
export type SseRule = readonly string[] | RegExp | Type<SseAuthorizer>;

/**
 * The check of a rule that needs nobody to be asked; undefined for a class.
 *
 * @throws SseError `SSE_OPTIONS` for what is no rule, `SSE_INPUT` for a list of what are no channels
 */
export function checkOf(rule: SseRule): ((channel: string) => boolean) | undefined {
  if (typeof rule === 'function') return undefined;
  if (rule instanceof RegExp) {
    // Found anywhere, /news/ would let `news-of-the-board` through; and a `g` would remember where it was.
    const whole = new RegExp(`^(?:${rule.source})$`, rule.flags.replaceAll(/[gmy]/g, ''));
    return (channel) => whole.test(channel);
  }
  if (!Array.isArray(rule)) {
    const message = `Expected \`allow\` to be a list of channels, a RegExp or a class, got ${show(rule)}`;
    throw new SseError('SSE_OPTIONS', message);
  }
  const channels = new Set(rule.map(checkChannel));
  return (channel) => channels.has(channel);
}

/** Has Nest inject an authorizer that is among the providers of the module, as `authorizer`. */
export function injectProvided(enhancer: Type, authorizer: Type<SseAuthorizer>): void {
  Inject(authorizer)(enhancer.prototype as object, 'authorizer');
  Optional()(enhancer.prototype as object, 'authorizer');
}

const created = new WeakMap<ModuleRef, Map<Type<SseAuthorizer>, Promise<SseAuthorizer>>>();

/** An authorizer that is no provider: made once for each module, as Nest makes guards. @throws Error as Nest, where it lacks a provider */
export function authorizerOf(moduleRef: ModuleRef, type: Type<SseAuthorizer>): Promise<SseAuthorizer> {
  const ofModule = created.get(moduleRef) ?? new Map<Type<SseAuthorizer>, Promise<SseAuthorizer>>();
  created.set(moduleRef, ofModule);
  const authorizer = ofModule.get(type) ?? moduleRef.create(type);
  ofModule.set(type, authorizer);
  return authorizer;
}
