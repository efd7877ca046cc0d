import { checkChannels } from '../event.js';
import { checkKeys, inputError } from '../sse.errors.js';

/** What is known of who reads a stream. All fields are optional. */
export interface SseAccess {
  /** Whose stream it is, for `SseService.disconnect({ user })`. */
  user?: string | number;
  /** The login it belongs to, such as the `sid` of a token, for `SseService.disconnect({ session })`. Only its SHA-256 is kept. */
  session?: string;
  /** When the credential was issued: one that is newer than a `disconnect()` of its user is let in at once. */
  issuedAt?: Date;
  /** When the credential expires: the stream ends by then. */
  expiresAt?: Date;
}

/** The same from several answers: each names a user and a session. */
export interface Access extends SseAccess {
  readonly users?: readonly (string | number)[];
  readonly sessions?: readonly string[];
}

/** Where a connection comes from, as far as that is known. */
export interface ConnectionSource {
  /** The path of the route, with its parameters' names. */
  readonly route?: string;
  /** The client's address. */
  readonly address?: string;
}

/** The permission to read channels. It is a class, so that no value from a request can pass for it. */
export class SseGrant {
  /** When it was asked for, by `Date.now()`. Disconnections since then are not considered in it. */
  readonly askedAt: number;
  readonly channels: readonly string[];
  readonly access: SseAccess;
  /** Of the request that it was asked for. */
  readonly source?: ConnectionSource;
  /** Asks for it again; absent for a rule without an authorizer. */
  readonly renew?: () => Promise<SseAccess>;

  /**
   * @param grant `channels`, and what of the rest is known; tests need no more than `channels` and `access`
   * @throws SseError `SSE_INPUT` for a wrong channel, user, session or date, and for an unknown key
   */
  constructor(grant: Pick<SseGrant, 'channels'> & Partial<SseGrant>) {
    checkKeys('SSE_INPUT', 'grant', grant, GRANT_KEYS);
    const { channels, access = {}, askedAt = Date.now(), source, renew } = grant;
    this.askedAt = askedAt;
    this.channels = checkChannels(channels);
    this.access = checkAccess(access, [...ACCESS_KEYS, 'users', 'sessions']);
    this.source = source;
    this.renew = renew;
  }
}

const GRANT_KEYS = ['channels', 'access', 'askedAt', 'source', 'renew'];

/** An authorizer could not say yes or no: it failed, or did not answer in time. The client is to retry. */
export class UndecidedError extends Error {
  override readonly name = 'UndecidedError';
}

export const ACCESS_KEYS: readonly string[] = ['user', 'session', 'issuedAt', 'expiresAt'];

/** @throws SseError `SSE_INPUT` for what is no access */
export function checkAccess(access: unknown, known = ACCESS_KEYS): SseAccess {
  if (typeof access !== 'object' || access === null) {
    throw inputError('access', 'a boolean or an object', access);
  }
  checkKeys('SSE_INPUT', 'access', access, known);
  const { user, session, issuedAt, expiresAt } = access as Record<keyof SseAccess, unknown>;
  if (user !== undefined) checkUser(user);
  if (session !== undefined) checkSession(session);
  for (const [name, date] of Object.entries({ issuedAt, expiresAt })) {
    if (date !== undefined && !(date instanceof Date && Number.isFinite(date.getTime()))) {
      throw inputError(name, 'a valid Date', date);
    }
  }
  return access;
}

/** @throws SseError `SSE_INPUT` for what names nobody, such as `NaN` or `''` */
export function checkUser(user: unknown): string {
  if ((typeof user === 'string' && user !== '') || Number.isFinite(user)) return String(user);
  throw inputError('user', 'a string or a number that names somebody', user);
}

/** @throws SseError `SSE_INPUT` */
export function checkSession(session: unknown): string {
  if (typeof session === 'string' && session !== '') return session;
  throw inputError('session', 'a string that is not empty', session);
}

/** Whether its credential has run out, by the clock of this process. */
export function isExpired({ expiresAt }: SseAccess): boolean {
  return expiresAt !== undefined && expiresAt.getTime() <= Date.now();
}

/** What several answers say of one connection: all users and sessions, and the earliest dates. */
export function mergeAccess(answers: readonly Access[]): Access {
  const earliest = (dates: (Date | undefined)[]) =>
    dates.reduce((first, date) => (first && date && first > date ? date : (first ?? date)), undefined);
  const users = unique(answers.map(({ user, users: all }) => all ?? [user]));
  const sessions = unique(answers.map(({ session, sessions: all }) => all ?? [session]));
  return {
    user: users[0],
    users,
    session: sessions[0],
    sessions,
    issuedAt: earliest(answers.map(({ issuedAt }) => issuedAt)),
    expiresAt: earliest(answers.map(({ expiresAt }) => expiresAt)),
  };
}

/** What a handler and an authorizer say of one connection: where the authorizer names users, it is theirs alone. */
export function mergeGrant(own: Access, granted: Access): Access {
  const isNamed = usersOf(granted).length > 0;
  return mergeAccess([granted, isNamed ? { ...own, user: undefined, users: [] } : own]);
}

/** The users as they travel. */
export function usersOf({ user, users }: Access): readonly string[] {
  return unique([users ?? [user]]).map(String);
}

const unique = <T extends string | number>(lists: readonly (readonly (T | undefined)[])[]): T[] => [
  ...new Set(lists.flat().filter((value): value is T => value !== undefined)),
];
