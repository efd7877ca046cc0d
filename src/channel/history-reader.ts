import { setTimeout as sleep } from 'node:timers/promises';
import { PAGE_EVENTS, type Page, type SseBroker } from '../broker/broker.js';
import { Limiter } from '../limiter.js';
import { type ChannelEvent, channelEvent } from './channel-event.js';

/** Reads under way at once, to each server: a crowd that comes back must not keep Redis from publishing. */
const MAX_READS = 16;

/** How long to wait after so many failures in a row, in ms. */
export const retryMs = (failures: number): number => Math.min(5 * 2 ** failures, 1_000) * (1 + Math.random());

/** What a read is for. The most urgent ones come first, to each server. */
const PRIORITIES = { repair: 0, open: 1, replay: 2, audit: 3 } as const;

/** A page of history as subscribers get it. */
export interface Passage extends Omit<Page, 'events'> {
  readonly events: readonly ChannelEvent[];
}

interface ReadOptions {
  /**
   * - `repair`: a channel with subscribers has missed something.
   * - `open`: a channel gets its first subscriber.
   * - `replay`: a subscriber comes back.
   * - `audit`: nothing is known to be missing.
   */
  readonly purpose: keyof typeof PRIORITIES;
  readonly limit?: number;
  /** Nothing is read that is not wanted any more when its turn comes. */
  readonly isWanted?: () => boolean;
}

/** All reading of history in this process. */
export class HistoryReader {
  readonly #shared = new Map<string, { page: Promise<Passage | undefined>; wanted: (() => boolean)[] }>();
  readonly #reads = new Map<string, Limiter>();

  constructor(private readonly broker: SseBroker) {}

  /** Whether as many reads are under way as there may be. */
  isBusy(channel: string): boolean {
    return this.#reads.get(this.broker.serverOf(channel))?.isBusy === true;
  }

  /** Reads after the call: what it says of the tip is no older. Resolves to undefined if it was not wanted any more. */
  async read(
    channel: string,
    positions: readonly string[],
    { purpose, limit = PAGE_EVENTS, isWanted }: ReadOptions,
  ): Promise<Passage | undefined> {
    const server = this.broker.serverOf(channel);
    const reads = this.#reads.get(server) ?? new Limiter(MAX_READS);
    this.#reads.set(server, reads);
    const read = () => this.broker.read(channel, positions, limit);
    try {
      const page = await reads.run(read, { priority: PRIORITIES[purpose], isWanted });
      if (!page) return undefined;
      const events = page.events.map((event) => channelEvent(channel, event, event.cursor));
      return { ...page, events };
    } finally {
      if (reads.isIdle) this.#reads.delete(server);
    }
  }

  /** The same until it succeeds; undefined once that is not wanted any more. */
  async readPatiently(
    channel: string,
    positions: readonly string[],
    options: ReadOptions & { readonly isWanted: () => boolean; readonly onError?: (error: Error) => void },
  ): Promise<Passage | undefined> {
    const read = options.purpose === 'replay' ? this.readShared.bind(this) : this.read.bind(this);
    for (let failures = 0; options.isWanted();) {
      try {
        const page = await read(channel, positions, options);
        if (page) return page;
      } catch (error) {
        options.onError?.(error as Error);
        await sleep(retryMs(++failures), undefined, { ref: false });
      }
    }
    return undefined;
  }

  /** For those who come back: read once for all who ask for it at the same time. */
  readShared(
    channel: string,
    positions: readonly string[],
    { limit, isWanted }: Pick<ReadOptions, 'limit'> & { readonly isWanted: () => boolean },
  ): Promise<Passage | undefined> {
    const key = [limit, channel, ...positions].join(' ');
    const reading = this.#shared.get(key);
    if (reading) {
      reading.wanted.push(isWanted);
      return reading.page;
    }
    const wanted = [isWanted];
    const isWantedByAny = () => wanted.some((each) => each());
    const options = { purpose: 'replay', limit, isWanted: isWantedByAny } as const;
    const page = this.read(channel, positions, options).finally(() => this.#shared.delete(key));
    this.#shared.set(key, { page, wanted });
    return page;
  }
}
