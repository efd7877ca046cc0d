import { checkFrom, type SseFrom } from '../channel/start.js';
import type { Subscriber } from '../channel/subscribers.js';
import type { SubscriptionStart } from '../channel/subscription.js';
import { inputError, checkKeys } from '../common/sse.errors.js';
import { checkChannels } from '../event/event.js';
import { ACCESS_KEYS, checkAccess, mergeGrant, type SseAccess, SseGrant } from './access.js';
import type { Connection, SseEndReason } from './connection.js';

/** The start of a connection, and its user and credential. All fields are optional. */
export interface MessagesOptions extends SseAccess {
  /** The id to resume after, as `@LastEventId()` gives it. */
  lastEventId?: string;
  /** Where the connection begins in channels for which `lastEventId` has no part. An unknown id gives `sse.reset`. @default 'live' */
  from?: SseFrom;
}

/** The same for `SseService.events()`. */
export interface EventsOptions extends MessagesOptions {
  /** Ends the iteration when it is aborted. */
  signal?: AbortSignal;
}

/** A connection that the application asks for. */
export type ConnectionRequest = Pick<Connection, 'channels' | 'access' | 'renew' | 'askedAt' | 'source'> & {
  readonly start: SubscriptionStart;
};

/**
 * Opens a connection.
 *
 * @param end is called when it has to end
 * @returns the function that closes it; undefined if it is refused
 */
export type Connect = (
  subscriber: Subscriber,
  end: () => void,
) => ((reason: SseEndReason) => void) | undefined;

/** @throws SseError `SSE_INPUT` */
export function checkRequest(
  channel: unknown,
  options: EventsOptions | undefined,
  known: readonly string[],
): ConnectionRequest {
  if (options !== undefined) checkKeys('SSE_INPUT', 'options', options, [...known, ...ACCESS_KEYS]);
  const { lastEventId, from, signal, ...named } = options ?? {};
  const grant = channel instanceof SseGrant ? channel : undefined;
  const own = checkAccess(named);
  // Of any realm, or a polyfill's.
  const isSignal = typeof signal?.addEventListener === 'function' && typeof signal.aborted === 'boolean';
  if (signal !== undefined && !isSignal) {
    throw inputError('signal', 'an AbortSignal', signal);
  }
  return {
    channels: grant ? [...grant.channels] : checkChannels(channel),
    access: mergeGrant(own, grant?.access ?? {}),
    renew: grant?.renew && (async () => mergeGrant(own, await grant.renew!())),
    askedAt: grant?.askedAt,
    source: grant?.source,
    start: {
      // A query may give any type.
      lastEventId: typeof lastEventId === 'string' && lastEventId !== '' ? lastEventId : undefined,
      newest: checkFrom(from),
    },
  };
}
