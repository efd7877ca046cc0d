import { checkChannels } from '../event/event.js';
import { checkKeys, inputError } from '../common/sse.errors.js';

/** The user and credential of a connection. All fields are optional. */
export interface SseAccess {
  /** The user, for `SseService.disconnect({ user })`. */
  user?: string | number;
  /** The login, such as the `sid` of a token, for `SseService.disconnect({ session })`. Only its SHA-256 is stored. */
  session?: string;
  /** When the credential was issued: a `disconnect()` does not refuse a newer one. */
  issuedAt?: Date;
  /** When the credential expires: the connection ends by then. */
  expiresAt?: Date;
}

/** The same from several decisions: each may name a user and a session. */
export interface Access extends SseAccess {
  readonly users?: readonly (string | number)[];
  readonly sessions?: readonly string[];
}

/** Route and address of a connection, if they are known. */
export interface ConnectionSource {
  /** The path of the route, with the names of its parameters. */
  readonly route?: string;
  /** The client's address. */
  readonly address?: string;
}

/** The permission to read channels. It is a class, so that no value from a request can pass for it. */
export class SseGrant {
  /** When the permission was asked for, by `Date.now()`. A disconnection after that revokes it. */
  readonly askedAt: number;
  /** The channels, in canonical form. */
  readonly channels: readonly string[];
  /** User and credential, as the authorizer named them. */
  readonly access: SseAccess;
  /** Route and address of the request. */
  readonly source?: ConnectionSource;
  /** Asks for the permission again; absent for a rule without an authorizer. */
  readonly renew?: () => Promise<SseAccess>;

  /**
   * @param grant `channels` and any other fields; tests need `channels` and `access` only
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

/** An authorizer failed, or did not decide in time. The client retries. */
export class UndecidedError extends Error {
  override readonly name = 'UndecidedError';
}

export const ACCESS_KEYS: readonly string[] = ['user', 'session', 'issuedAt', 'expiresAt'];

/** @throws SseError `SSE_INPUT` */
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

/** @throws SseError `SSE_INPUT` for a value that identifies no user, such as `NaN` or `''` */
export function checkUser(user: unknown): string {
  if ((typeof user === 'string' && user !== '') || Number.isFinite(user)) return String(user);
  throw inputError('user', 'a string or a number that identifies a user', user);
}

/** @throws SseError `SSE_INPUT` */
export function checkSession(session: unknown): string {
  if (typeof session === 'string' && session !== '') return session;
  throw inputError('session', 'a string that is not empty', session);
}

/** Whether the credential has expired, by the clock of this process. */
export function isExpired({ expiresAt }: SseAccess): boolean {
  return expiresAt !== undefined && expiresAt.getTime() <= Date.now();
}

/** Merges several decisions about one connection: all users and sessions, and the earliest dates. */
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

/** Merges the access that a handler returns with that of the authorizer, whose users replace the handler's. */
export function mergeGrant(own: Access, granted: Access): Access {
  const isNamed = usersOf(granted).length > 0;
  return mergeAccess([granted, isNamed ? { ...own, user: undefined, users: [] } : own]);
}

/** The users as texts, as disconnections name them. */
export function usersOf({ user, users }: Access): readonly string[] {
  if (users === undefined) return user === undefined ? NONE : [String(user)];
  return unique([users]).map(String);
}

const NONE: readonly never[] = [];

const unique = <T extends string | number>(lists: readonly (readonly (T | undefined)[])[]): T[] => [
  ...new Set(lists.flat().filter((value): value is T => value !== undefined)),
];
