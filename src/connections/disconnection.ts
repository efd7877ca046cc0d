import { createHash } from 'node:crypto';
import { nameOfChannel, type SseChannelLike } from '../event/event.js';
import { checkKeys, inputError, SseError } from '../common/sse.errors.js';
import { type Access, checkSession, checkUser, type SseAccess, usersOf } from './access.js';

/** Which connections to end: those that match all given fields. At least one is required. */
export interface DisconnectTarget {
  /** The user that an authorizer, a target of `@SseChannel()`, or `messages()` has named. */
  user?: string | number;
  /** The session that they have named. */
  session?: string;
  /** A channel of the connection. */
  channel?: SseChannelLike;
  /** The id that `SseService.connections()` shows. */
  connection?: string;
}

/** A target in canonical form, with the SHA-256 of the session. */
export interface CheckedDisconnectTarget {
  readonly user?: string;
  readonly session?: string;
  readonly channel?: string;
  readonly connection?: string;
}

/** One call of `disconnect()`, on any node. */
export interface Disconnection extends CheckedDisconnectTarget {
  /** For how long its clients may not reconnect. */
  readonly refuseMs: number;
  /** Identifies the call, for the node that made it. */
  readonly call?: string;
  /** By the clock of this node: when it was made, when it arrived, and until when its clients may not reconnect. */
  readonly at: number;
  readonly heardAt: number;
  readonly until: number;
}

/** A connection, open or not, as disconnections see it. */
export interface Reader {
  readonly channels: readonly string[];
  readonly users: readonly string[];
  readonly sessions: readonly string[];
  readonly access: Access;
  /** When the permission was asked for. */
  readonly askedAt: number;
  /** Of an open connection. */
  readonly id?: string;
}

const TARGET_KEYS = ['user', 'session', 'channel', 'connection'] as const;
const REFUSE_MS = 60_000;
const MAX_REFUSE_MS = 3_600_000;
/** When a client reconnects whose permission has to be asked for again. */
export const AGAIN_MS = 1_000;

/** @throws SseError `SSE_INPUT` */
export function checkTarget(target: DisconnectTarget): CheckedDisconnectTarget {
  checkKeys('SSE_INPUT', 'target', target, TARGET_KEYS);
  const { user, session, channel, connection } = target;
  for (const name of TARGET_KEYS) {
    // Ignoring it would end more connections than intended.
    if (name in target && target[name] === undefined) throw inputError(name, 'left out or given', undefined);
  }
  if (TARGET_KEYS.every((name) => target[name] === undefined)) {
    const message = 'Expected `user`, `session`, `channel` or `connection` of what to disconnect, got none';
    throw new SseError('SSE_INPUT', message);
  }
  if (connection !== undefined && (typeof connection !== 'string' || connection === '')) {
    throw inputError('connection', 'an id that `connections()` shows', connection);
  }
  return {
    user: user === undefined ? undefined : checkUser(user),
    session: session === undefined ? undefined : digestOf(checkSession(session)),
    channel: channel === undefined ? undefined : nameOfChannel(channel),
    connection,
  };
}

/**
 * @returns for how long clients may not reconnect; 0 for a channel alone, unless the caller sets it
 * @throws SseError `SSE_INPUT`
 */
export function checkRefuseMs(target: CheckedDisconnectTarget, refuseMs: unknown): number {
  const { user, session, connection } = target;
  const isWholeChannel = user === undefined && session === undefined && connection === undefined;
  if (refuseMs === undefined) return isWholeChannel ? 0 : REFUSE_MS;
  if (Number.isInteger(refuseMs) && (refuseMs as number) >= 0 && (refuseMs as number) <= MAX_REFUSE_MS) {
    return refuseMs as number;
  }
  throw inputError('refuseMs', `a whole number of milliseconds, 0–${MAX_REFUSE_MS}`, refuseMs);
}

/** The message of a disconnection. A session is in a field that releases without sessions ignore: they would end more. */
export function encode(target: CheckedDisconnectTarget, refuseMs: number, call: string): object {
  return target.session === undefined ? { ...target, refuseMs, call } : { target, refuseMs, call };
}

/**
 * @param at when it was made, by the clock of this node
 * @param heardAt when it arrived: permissions asked for earlier do not count
 * @returns undefined for anything else, and for a target with unknown fields, which would end more than intended
 */
export function decode(data: unknown, at: number, heardAt: number): Disconnection | undefined {
  if (!isObject(data)) return undefined;
  const { refuseMs, call, target = data } = data;
  if (!isObject(target) || typeof refuseMs !== 'number') return undefined;
  const isKnown = (name: string) => (TARGET_KEYS as readonly string[]).includes(name);
  if (target !== data && !Object.keys(target).every(isKnown)) return undefined;
  const { user, session, channel, connection } = target;
  const given = [user, session, channel, connection].filter((value) => value !== undefined);
  if (given.length === 0 || given.some((value) => typeof value !== 'string')) return undefined;
  const until = at + refuseMs;
  return { user, session, channel, connection, refuseMs, call, at, heardAt, until } as Disconnection;
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null;

/** The users, and the digests of the sessions. */
export function readerOf(access: Access): Pick<Reader, 'users' | 'sessions' | 'access'> {
  const { session, sessions = session === undefined ? [] : [session] } = access;
  return { users: usersOf(access), sessions: sessions.map(digestOf), access };
}

/** Whether a disconnection applies to a connection. */
export function applies(target: CheckedDisconnectTarget, reader: Reader): boolean {
  const { user, session, channel, connection } = target;
  if (user !== undefined && !reader.users.includes(user)) return false;
  if (session !== undefined && !reader.sessions.includes(session)) return false;
  if (channel !== undefined && !reader.channels.includes(channel)) return false;
  return connection === undefined || connection === reader.id;
}

/** For how long a connection to which it applies may not open, in ms. Permissions from before it do not count. */
export function leftMs(disconnection: Disconnection, { access, askedAt }: Reader, now: number): number {
  const left = isNewer(access, disconnection) ? 0 : disconnection.until - now;
  return Math.max(0, left, askedAt <= disconnection.heardAt ? AGAIN_MS : 0);
}

/** Whether a credential was issued after a disconnection. */
export function isNewer({ issuedAt }: SseAccess, { at }: Disconnection): boolean {
  return issuedAt !== undefined && issuedAt.getTime() > at;
}

/** A session id may be a credential, so it is neither sent nor stored. */
function digestOf(session: string): string {
  return createHash('sha256').update(session).digest('base64url');
}
