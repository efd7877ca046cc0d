import { type ExecutionContext, Injectable, UnauthorizedException } from '@nestjs/common';
import { SseBroker } from '../broker/broker.js';
import { MAX_TICKET_MS } from '../broker/tickets.js';
import { FailureLog } from '../common/failure-log.js';
import { checkKeys, inputError, show } from '../common/sse.errors.js';
import { ACCESS_KEYS, checkAccess, isExpired, type SseAccess } from '../connections/access.js';
import { checkChannels, type SseChannelLike } from '../event/event.js';
import type { SseTypedChannel } from '../event/typed-channel.js';
import { type PlatformRequest, type PlatformResponse, setHeader } from '../http/platform.js';
import { sourceOf } from '../http/source.js';
import type { SseAuthorizer } from './authorizer.js';
import { hashOf, isTicket, newTicket, seal, unseal } from './ticket.js';

/** What a ticket allows. `user`, `session`, `issuedAt` and `expiresAt` describe the user and the credential of its connection. */
export interface SseTicketOptions extends SseAccess {
  /**
   * The path of the only route, of any method, that takes the ticket, with the global prefix and the names of parameters, as Nest logs it at start:
   * `/orders/:id/events`. Name it where several routes with `allow: SseTickets` deliver a channel, and not all of them without a filter.
   *
   * @default any route with `allow: SseTickets`
   */
  route?: string;
  /** The channel or channels that may be read. */
  channels: SseChannelLike | readonly SseChannelLike[];
  /** When the ticket was issued, or the credential behind it: a `disconnect()` after that refuses it. @default now */
  issuedAt?: Date;
  /** For how long it can be used, in ms, 1–60,000. @default 30000 */
  ttlMs?: number;
}

/** The same as it is stored. */
type Permission = Readonly<Pick<SseTicketOptions, 'route'>> & {
  readonly channels: readonly string[];
  readonly access: SseAccess;
};

const KEYS = ['route', 'channels', 'ttlMs', ...ACCESS_KEYS];
const TTL_MS = 30_000;

/**
 * Tickets, each of which opens one connection: for clients that can send neither headers nor cookies, as an `EventSource` of another
 * origin. An authenticated route of the application issues one, and the client sends it in the query, as `ticket`, to a route with
 * `allow: SseTickets`.
 *
 * A missing, unknown, used or late ticket, and one for another route or channel, gets the same 401, without details. While Redis is
 * unreachable the client retries, as with any authorizer that fails. An open connection needs the ticket no more: it lasts until `expiresAt`,
 * or a `disconnect()`.
 *
 * @example
 * ```ts
 * @Post('orders/:id/ticket')
 * @UseGuards(BearerGuard)
 * issue(@Param('id', ParseIntPipe) id: number, @Req() { user }: AuthenticatedRequest) {
 *   return this.tickets.issue({ route: '/orders/:id/events', channels: `order:${id}`, user: user.id });
 * }
 *
 * @SseChannel('orders/:id/events', { allow: SseTickets })
 * events(@Param('id', ParseIntPipe) id: number) {
 *   return `order:${id}`;
 * }
 * ```
 */
@Injectable()
export class SseTickets implements SseAuthorizer {
  readonly #failures = new FailureLog();
  /** By request: an open connection, and a second rule of its route, ask again. */
  readonly #redeemed = new WeakMap<object, Permission>();

  /** @internal */
  constructor(private readonly broker: SseBroker) {}

  /**
   * Issues a ticket of 256 random bits. The store gets its SHA-256, and encrypted with the ticket what it allows.
   *
   * Cost: one SET in Redis, and one GETDEL when the ticket is used.
   *
   * @returns 43 letters, digits, `-` and `_`
   * @throws SseError `SSE_INPUT` for an unacceptable option, before anything is written; `SSE_UNAVAILABLE`
   */
  async issue(options: SseTicketOptions): Promise<string> {
    const permission = checkOptions(options);
    const ticket = newTicket();
    const { ttlMs = TTL_MS } = options;
    await this.broker.tickets.put(hashOf(ticket), seal(ticket, JSON.stringify(permission)), ttlMs);
    return ticket;
  }

  /** Called by routes. @throws UnauthorizedException without a ticket for the channel */
  authorize(channel: unknown, context: ExecutionContext, typed?: SseTypedChannel): Promise<SseAccess> {
    return this.authorizeAll([channel], context, typed && [typed]);
  }

  /** Called by routes. @throws UnauthorizedException without a ticket for all of the channels */
  async authorizeAll(
    channels: readonly unknown[],
    context: ExecutionContext,
    typed?: readonly (SseTypedChannel | undefined)[],
  ): Promise<SseAccess> {
    const http = context.switchToHttp();
    const request = http.getRequest<PlatformRequest>();
    let permission = this.#redeemed.get(request);
    if (!permission) {
      // A page must not hand on the address, which has the ticket.
      setHeader(http.getResponse<PlatformResponse>(), 'Referrer-Policy', 'no-referrer');
      // A program that only checks an address must not use up its ticket.
      permission = await this.#redeem(request.method === 'HEAD' ? undefined : request.query.ticket);
      this.#redeemed.set(request, permission);
    }
    const names = channels.map((channel, n) => typed?.[n]?.name ?? (channel as string));
    const { route, channels: allowed, access } = permission;
    const isOfRoute = route === undefined || route === sourceOf(request).route;
    if (!isOfRoute) this.#report(route, request);
    if (!isOfRoute || !names.every((name) => allowed.includes(name)) || isExpired(access)) {
      throw new UnauthorizedException();
    }
    return access;
  }

  async #redeem(ticket: unknown): Promise<Permission> {
    const sealed = isTicket(ticket) ? await this.broker.tickets.take(hashOf(ticket)) : undefined;
    if (sealed === undefined) throw new UnauthorizedException();
    return decode(unseal(ticket as string, sealed));
  }

  /** The 401 has no details, so this is how a wrong path in a call of `issue()` is found. */
  #report(route: string, request: PlatformRequest): void {
    const line = `Refused a ticket for the route ${show(route)} on the route ${show(sourceOf(request).route)}`;
    this.#failures.error('ticket', line);
  }
}

/** @throws SseError `SSE_INPUT` */
function checkOptions(options: SseTicketOptions): Permission {
  checkKeys('SSE_INPUT', 'options', options, KEYS);
  const { route, channels, user, session, issuedAt = new Date(), expiresAt, ttlMs = TTL_MS } = options;
  for (const name of ['route', ...ACCESS_KEYS]) {
    // Without a user or an end, the connection would outlive what should end it; without a route, any would take the ticket.
    if (name in options && options[name as keyof SseTicketOptions] === undefined) {
      throw inputError(name, 'left out or given', undefined);
    }
  }
  if (route !== undefined && (typeof route !== 'string' || !route.startsWith('/'))) {
    throw inputError('route', 'the path of a route, such as /orders/:id/events', route);
  }
  if (!Number.isInteger(ttlMs) || ttlMs < 1 || ttlMs > MAX_TICKET_MS) {
    throw inputError('ttlMs', `a whole number from 1 to ${MAX_TICKET_MS}`, ttlMs);
  }
  const access = checkAccess({ user, session, issuedAt, expiresAt });
  return { route, channels: checkChannels(channels), access };
}

function decode(text: string): Permission {
  const { access, ...permission } = JSON.parse(text) as Permission;
  const { issuedAt, expiresAt } = access;
  const dates = {
    ...(issuedAt && { issuedAt: new Date(issuedAt) }),
    ...(expiresAt && { expiresAt: new Date(expiresAt) }),
  };
  return { ...permission, access: { ...access, ...dates } };
}
