import { createHash } from 'node:crypto';
import { checkChannel } from '../event.js';
import { checkKeys, inputError, SseError } from '../sse.errors.js';
import { type Access, checkSession, checkUser, type SseAccess, usersOf } from './access.js';

/** Which connections to end: those to which all that is given applies. */
export interface DisconnectTarget {
  /** Of this user, as authorizers, targets of `@SseChannel` and `messages()` name them. */
  user?: string | number;
  /** Of this session, as they name it. */
  session?: string;
  /** That read this channel. */
  channel?: string;
  /** The one that `SseService.connections()` shows with this id. */
  connection?: string;
}

/** A target in canonical form; of the session its SHA-256. */
export interface CheckedDisconnectTarget {
  readonly user?: string;
  readonly session?: string;
  readonly channel?: string;
  readonly connection?: string;
}

/** One call of `disconnect()`, on whichever node. */
export interface Disconnection extends CheckedDisconnectTarget {
  /** For how long its clients may not reconnect. */
  readonly refuseMs: number;
  /** Which call it was, for the node that made it. */
  readonly call?: string;
  /** By the clock of this node: when it was made, when it was heard of, and until when its clients may not reconnect. */
  readonly at: number;
  readonly heardAt: number;
  readonly until: number;
}

/** What a disconnection may apply to. */
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
/** When a client is to reconnect whose permission has to be asked for again. */
export const AGAIN_MS = 1_000;

/** @throws SseError `SSE_INPUT` */
export function checkTarget(target: DisconnectTarget): CheckedDisconnectTarget {
  checkKeys('SSE_INPUT', 'target', target, TARGET_KEYS);
  const { user, session, channel, connection } = target;
  for (const name of TARGET_KEYS) {
    // Without it the call would end more connections than it says.
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
    channel: channel === undefined ? undefined : checkChannel(channel),
    connection,
  };
}

/**
 * @returns for how long clients may not reconnect: a whole channel's only where the caller says so
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

/** As it travels. With a session, the target is where nodes of a release without sessions do not look: they would end more. */
export function encode(target: CheckedDisconnectTarget, refuseMs: number, call: string): object {
  return target.session === undefined ? { ...target, refuseMs, call } : { target, refuseMs, call };
}

/**
 * @param at when it was made, by the clock of this node
 * @param heardAt until when the answers to what was asked do not count
 * @returns undefined for what is none, or has a target that this release does not know: it would end more than it says
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

/** The users, and the sessions as they travel. */
export function readerOf(access: Access): Pick<Reader, 'users' | 'sessions' | 'access'> {
  const { session, sessions = session === undefined ? [] : [session] } = access;
  return { users: usersOf(access), sessions: sessions.map(digestOf), access };
}

/** Whether a disconnection is meant for a connection. */
export function applies(target: CheckedDisconnectTarget, reader: Reader): boolean {
  const { user, session, channel, connection } = target;
  if (user !== undefined && !reader.users.includes(user)) return false;
  if (session !== undefined && !reader.sessions.includes(session)) return false;
  if (channel !== undefined && !reader.channels.includes(channel)) return false;
  return connection === undefined || connection === reader.id;
}

/** For how long a connection to which it applies may not be open, in ms. What was asked before it does not count. */
export function leftMs(disconnection: Disconnection, { access, askedAt }: Reader, now: number): number {
  const left = isNewer(access, disconnection) ? 0 : disconnection.until - now;
  return Math.max(0, left, askedAt <= disconnection.heardAt ? AGAIN_MS : 0);
}

/** Whether a credential was issued after a disconnection. */
export function isNewer({ issuedAt }: SseAccess, { at }: Disconnection): boolean {
  return issuedAt !== undefined && issuedAt.getTime() > at;
}

/** A session's id may be what logs its user in: it is neither sent nor kept. */
function digestOf(session: string): string {
  return createHash('sha256').update(session).digest('base64url');
}
