import { checkKeys, inputError } from '../common/sse.errors.js';
import type { ReplayBounds } from '../broker/broker.js';
import type { FailureLog } from '../common/failure-log.js';
import type { ChannelHub } from './channel-hub.js';
import type { HistoryPage, HistoryReader } from './history-reader.js';
import { Liveness } from './liveness.js';
import type { Subscriber } from './subscribers.js';

/**
 * Where a connection begins in a channel for which its client brings no id:
 * - `live`: with the events that are published from now on;
 * - `earliest`: with the oldest stored event;
 * - `{ last: n }`: with the last n stored events, 0–1,000,000.
 *
 * Of more events than `history.maxReplayEvents` and `history.maxReplayBytes` allow (and 20,000 events or 16 MiB), the newest are
 * sent, and `sse.open` has `truncated: true`.
 */
export type SseFrom =
  | 'live'
  | 'earliest'
  | {
      /** How many of the last stored events. */
      readonly last: number;
    };

const MAX_LAST = 1_000_000;

/**
 * @returns how many of the newest events a connection begins with
 * @throws SseError `SSE_INPUT`
 */
export function checkFrom(from: unknown): number {
  if (from === undefined || from === 'live') return 0;
  if (from === 'earliest') return Number.MAX_SAFE_INTEGER;
  if (typeof from !== 'object' || from === null) {
    throw inputError('from', "'live', 'earliest' or { last: n }", from);
  }
  checkKeys('SSE_INPUT', 'from', from, ['last']);
  const { last } = from as { last?: unknown };
  if (Number.isInteger(last) && Number(last) >= 0 && Number(last) <= MAX_LAST) return Number(last);
  throw inputError('from.last', `a whole number, 0–${MAX_LAST}`, last);
}

interface NewestOptions {
  readonly newest: number;
  readonly bounds: ReplayBounds;
  readonly isWanted: () => boolean;
  readonly failures: FailureLog;
}

/**
 * The position before the newest events of a channel, for a connection whose client has none: live once it is read. The replay
 * reads the events in its turn.
 */
export class NewestPosition extends Liveness {
  #page: HistoryPage | undefined;
  /** Stops waiting for the channel. */
  readonly cancel: () => void;

  constructor(
    private readonly hub: ChannelHub,
    private readonly reader: HistoryReader,
    options: NewestOptions,
  ) {
    super(options.failures);
    this.cancel = hub.whenLive(() => void this.#read(options));
  }

  get channel(): string {
    return this.hub.channel;
  }

  attach(subscriber: Subscriber): (() => void) | undefined {
    return this.hub.attach(subscriber, this.#page);
  }

  async #read({ newest, bounds, isWanted }: NewestOptions): Promise<void> {
    const { channel, reader } = this;
    const onError = (error: Error) => reader.report(channel, error);
    const options = { purpose: 'replay', limit: 0, bounds, isWanted, onError } as const;
    this.#page = await reader.readPatiently(channel, { newest }, options);
    if (this.#page && isWanted()) this.enter('live');
  }
}
