import { ACCESS_KEYS, checkAccess, type SseAccess } from '../access/access.js';
import { checkChannels, type SseEvent } from '../event.js';
import { checkKeys, inputError } from '../sse.errors.js';

/**
 * What an `@SseChannel()` handler returns: the channel or channels to stream, and, with `filter`, which of their
 * events. A filter sees the shared, frozen event; one that throws ends the stream. `user`, `session`, `issuedAt` and
 * `expiresAt` say whose stream it is, and until when.
 */
export type SseTarget =
  | string
  | readonly string[]
  | (SseAccess & { channel: string | readonly string[]; filter?(event: SseEvent): boolean });

const KEYS = ['channel', 'filter', ...ACCESS_KEYS];

/** A target as it was checked. */
export interface CheckedTarget {
  readonly channels: readonly string[];
  readonly access: SseAccess;
  readonly filter?: (event: SseEvent) => boolean;
}

/** @throws SseError `SSE_INPUT` for a wrong target */
export function checkTarget(target: unknown): CheckedTarget {
  if (typeof target !== 'object' || target === null || Array.isArray(target)) {
    return { channels: checkChannels(target), access: {} };
  }
  checkKeys('SSE_INPUT', 'target', target, KEYS);
  const given = target as Exclude<SseTarget, string | readonly string[]>;
  const { channel, user, session, issuedAt, expiresAt } = given;
  const type = typeof given.filter;
  // An undefined one is a slip that would let all events through.
  if (type !== 'function' && 'filter' in given) throw inputError('filter', 'a function', type);
  return {
    channels: checkChannels(channel),
    access: checkAccess({ user, session, issuedAt, expiresAt }),
    filter: type === 'function' ? (event) => given.filter!(event) : undefined,
  };
}
