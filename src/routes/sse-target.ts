import { ACCESS_KEYS, checkAccess, type SseAccess } from '../connections/access.js';
import { checkFrom, type SseFrom } from '../channel/start.js';
import { checkChannels, type SseChannelLike, type SseEvent } from '../event/event.js';
import { SseTypedChannel } from '../event/typed-channel.js';
import { checkKeys, inputError } from '../common/sse.errors.js';
import { bindFilter } from '../http/event-filter.js';
import type { ResponseTarget } from '../http/response-connection.js';

/**
 * The return value of an `@SseChannel()` handler: the channel or channels to deliver, and, with `filter`, which of their
 * events. `user`, `session`, `issuedAt` and `expiresAt` describe the user and the credential of the connection.
 *
 * A filter gets the shared, frozen event, and runs in the async context of its request. If it throws, or returns anything but true
 * and false, the event is not sent: the connection ends, so that the client reconnects for the event. If the filter
 * fails again, the client gets `sse.reset` (`failed`) instead, and then the following events. After filtered events, the
 * client gets its position (`sse.position`) with the next heartbeat and at the end of the connection.
 */
export type SseTarget =
  | SseChannelLike
  | readonly SseChannelLike[]
  | (SseAccess & {
      /** The channel or channels. */
      channel: SseChannelLike | readonly SseChannelLike[];
      /** Returns true for the events that are sent. */
      filter?(event: SseEvent): boolean;
      /** Where the connection begins if the client brings no last event id. @default 'live' */
      from?: SseFrom;
    });

const KEYS = ['channel', 'filter', 'from', ...ACCESS_KEYS];

/** @throws SseError `SSE_INPUT` for a wrong target */
export function checkTarget(target: unknown): ResponseTarget {
  const isChannel = target instanceof SseTypedChannel || Array.isArray(target);
  if (typeof target !== 'object' || target === null || isChannel) {
    return { channels: checkChannels(target), access: {} };
  }
  checkKeys('SSE_INPUT', 'target', target, KEYS);
  const given = target as Extract<SseTarget, { channel: unknown }>;
  const { channel, user, session, issuedAt, expiresAt } = given;
  const type = typeof given.filter;
  // An undefined filter is a mistake that would let all events through.
  if (type !== 'function' && 'filter' in given) throw inputError('filter', 'a function', type);
  return {
    channels: checkChannels(channel),
    newest: checkFrom(given.from),
    access: checkAccess({ user, session, issuedAt, expiresAt }),
    filter: type === 'function' ? bindFilter(given as Required<typeof given>) : undefined,
  };
}
