/** Why a connection broke or was refused. */
export interface SseSourceError extends Error {
  /** The HTTP status, if the server answered. */
  readonly status?: number;
  /** The `Retry-After` of the response, in ms from its arrival. */
  readonly retryAfterMs?: number;
}

/** The random part of a delay is up to 1 s after one failure, and at most so many seconds. */
const LONGEST = 30;
/** A connection that lasted so many seconds has worked. */
const LASTING = 2;
/** How many responses of another content type in a row are final. */
const WRONG_TYPES = 5;
/** A timer with a longer delay would end at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** A response that is no event stream. */
export function refusal({ status, headers }: Response): SseSourceError {
  const retryAfter = headers.get('retry-after');
  const seconds = Number(retryAfter);
  const retryAfterMs = seconds >= 0 ? seconds * 1_000 : Date.parse(retryAfter!) - Date.now();
  return Object.assign(
    new Error(`Expected an event stream, got status ${status}, type ${headers.get('content-type')}`),
    { status, retryAfterMs: Math.max(0, retryAfterMs) || 0 },
  );
}

/**
 * Decides after each failure whether, and when, the next attempt is made.
 *
 * @param secondMs how long a second of the delays is
 */
export function createRetries(secondMs: number) {
  let failures = 0;
  let openedAt = NaN;
  let wrongTypes = 0;
  let hasRenewed = false;

  const retries = {
    /** The reconnection time that the server sent last. */
    retryMs: secondMs,

    /** The server has accepted the connection. */
    opened: () => {
      openedAt = Date.now();
      wrongTypes = 0;
      hasRenewed = false;
    },

    /** The connection has delivered an event: what follows is no repeated failure. */
    worked: () => {
      failures = 0;
    },

    /** The delay before the next attempt in ms; undefined if there must be none. */
    delayAfter: ({ status, retryAfterMs = 0 }: SseSourceError, canRenew: boolean) => {
      let floor = Math.max(retries.retryMs, retryAfterMs);
      if (status === 200) {
        if (++wrongTypes === WRONG_TYPES) return undefined;
        floor = Math.max(floor, LONGEST * secondMs);
      } else {
        wrongTypes = 0;
        if (status === 401 || status === 403) {
          if (hasRenewed || !canRenew) return undefined;
          hasRenewed = true;
          return 0;
        }
        if (status! < 500 && status !== 408 && status !== 429) return undefined;
      }
      return Math.min(MAX_TIMER_MS, floor + retries.jitter());
    },

    /** The part of a delay that keeps clients which failed together from returning together. It grows with each failure. */
    jitter: () => {
      if (Date.now() - openedAt > LASTING * secondMs) failures = 0;
      openedAt = NaN;
      return Math.random() * secondMs * Math.min(LONGEST, 2 ** failures++);
    },
  };
  return retries;
}
