import { ACCESS_KEYS, checkAccess, type SseAccess } from '../access/access.js';
import { checkChannels, type SseEvent } from '../event.js';
import { checkKeys, inputError } from '../sse.errors.js';
import { bindFilter, type EventFilter } from './event-filter.js';

/**
 * What an `@SseChannel()` handler returns: the channel or channels to stream, and, with `filter`, which of their
 * events. `user`, `session`, `issuedAt` and `expiresAt` say whose connection it is, and until when.
 *
 * A filter gets the shared, frozen event, and runs in the async context of its request. An event on which it throws, or returns
 * anything but true and false, is not sent: the connection ends, so that the client comes back for the event; where the filter
 * fails again, the client gets `sse.reset` (`failed`) in its place, and the events behind it. Where events were held back, the
 * client is told the position (`sse.position`) with the next heartbeat and at the end of the connection.
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
  readonly filter?: EventFilter;
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
    filter: type === 'function' ? bindFilter(given as Required<typeof given>) : undefined,
  };
}
