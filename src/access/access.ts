import { inputError } from '../sse.errors.js';

/** What is known of who reads a stream. All fields are optional. */
export interface SseAccess {
  /** Whose stream it is, for `SseService.disconnect({ user })`. */
  user?: string | number;
  /** When the credential was issued: one that is newer than a `disconnect()` of its user is let in at once. */
  issuedAt?: Date;
  /** When the credential expires: the stream ends by then. */
  expiresAt?: Date;
}

/** The permission to read channels, as it was found. `renew` finds it again; absent where nobody is to be asked. */
export interface SseGrant {
  readonly channels: readonly string[];
  readonly access: SseAccess;
  readonly renew?: () => Promise<SseAccess>;
}

/** @throws SseError `SSE_INPUT` for what is no access */
export function checkAccess(access: unknown): SseAccess {
  if (typeof access !== 'object' || access === null) {
    throw inputError('access', 'a boolean or an object', access);
  }
  const { user, issuedAt, expiresAt } = access as Record<keyof SseAccess, unknown>;
  if (user !== undefined && typeof user !== 'string' && typeof user !== 'number') {
    throw inputError('user', 'a string or a number', user);
  }
  for (const [name, date] of Object.entries({ issuedAt, expiresAt })) {
    if (date !== undefined && !(date instanceof Date && Number.isFinite(date.getTime()))) {
      throw inputError(name, 'a valid Date', date);
    }
  }
  return access;
}

/** What several sources say of one reader: the first user, and the earliest dates. */
export function mergeAccess(answers: readonly SseAccess[]): SseAccess {
  const earliest = (dates: (Date | undefined)[]) =>
    dates.reduce((first, date) => (first && date && first > date ? date : (first ?? date)), undefined);
  return {
    user: answers.find(({ user }) => user !== undefined)?.user,
    issuedAt: earliest(answers.map(({ issuedAt }) => issuedAt)),
    expiresAt: earliest(answers.map(({ expiresAt }) => expiresAt)),
  };
}
