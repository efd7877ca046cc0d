import { checkKeys, inputError } from '../sse.errors.js';

/** What is known of who reads a stream. All fields are optional. */
export interface SseAccess {
  /** Whose stream it is, for `SseService.disconnect({ user })`. */
  user?: string | number;
  /** When the credential was issued: one that is newer than a `disconnect()` of its user is let in at once. */
  issuedAt?: Date;
  /** When the credential expires: the stream ends by then. */
  expiresAt?: Date;
}

/** The permission to read channels, as it was found: a class, so that nothing that comes with a request is taken for one. */
export class SseGrant {
  /** When it was asked for: what is said of its reader from then on is not in it. */
  readonly askedAt: number;
  readonly channels: readonly string[];
  readonly access: SseAccess;
  /** Finds it again; absent where nobody is to be asked. */
  readonly renew?: () => Promise<SseAccess>;

  constructor({ askedAt, channels, access, renew }: SseGrant) {
    this.askedAt = askedAt;
    this.channels = channels;
    this.access = access;
    this.renew = renew;
  }
}

export const ACCESS_KEYS: readonly string[] = ['user', 'issuedAt', 'expiresAt'];

/** @throws SseError `SSE_INPUT` for what is no access */
export function checkAccess(access: unknown): SseAccess {
  if (typeof access !== 'object' || access === null) {
    throw inputError('access', 'a boolean or an object', access);
  }
  checkKeys('SSE_INPUT', 'access', access, ACCESS_KEYS);
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

/** Whether its credential has run out, by the clock of this process. */
export function isExpired({ expiresAt }: SseAccess): boolean {
  return expiresAt !== undefined && expiresAt.getTime() <= Date.now();
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
