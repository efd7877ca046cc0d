import { checkAccess, type SseAccess } from '../access/access.js';
import { checkChannels, type SseEvent } from '../event.js';
import { inputError } from '../sse.errors.js';

/**
 * What an `@SseChannel()` handler returns: the channel or channels to stream, and, with `filter`, which of their
 * events. A filter sees the shared, frozen event; one that throws ends the stream. `user`, `issuedAt` and `expiresAt`
 * say whose stream it is, and until when.
 */
export type SseTarget =
  string | string[] | (SseAccess & { channel: string | string[]; filter?(event: SseEvent): boolean });

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
  const given = target as Exclude<SseTarget, string | string[]>;
  const { channel, user, issuedAt, expiresAt } = given;
  const type = typeof given.filter;
  if (type !== 'function' && type !== 'undefined') throw inputError('filter', 'a function', type);
  return {
    channels: checkChannels(channel),
    access: checkAccess({ user, issuedAt, expiresAt }),
    filter: type === 'function' ? (event) => given.filter!(event) : undefined,
  };
}
