import { setTimeout as sleep } from 'node:timers/promises';
import { type Newest, PAGE_EVENTS, type Page, type ReplayBounds, type SseBroker } from '../broker/broker.js';
import { FailureLog } from '../common/failure-log.js';
import { Limiter } from '../common/limiter.js';
import { ChannelEvent } from './channel-event.js';

/** Reads in flight to each server. Reconnecting clients must not keep Redis from publishing. */
const MAX_READS = 16;

/** How long to wait after so many failures in a row, in ms. */
export const retryMs = (failures: number): number => Math.min(5 * 2 ** failures, 1_000) * (1 + Math.random());

/** The lower the number, the earlier a read is sent to its server. */
const PRIORITIES = { repair: 0, open: 1, replay: 2, audit: 3 } as const;

/** A page of history as subscribers get it. */
export interface HistoryPage extends Omit<Page, 'events'> {
  readonly events: readonly ChannelEvent[];
}

interface ReadOptions {
  /**
   * - `repair`: a channel with subscribers has missed something.
   * - `open`: a channel gets its first subscriber.
   * - `replay`: a subscriber reconnects.
   * - `audit`: nothing is known to be missing.
   */
  readonly purpose: keyof typeof PRIORITIES;
  readonly limit?: number;
  readonly bounds?: ReplayBounds;
  /** Asked just before the read is sent. */
  readonly isWanted?: () => boolean;
}

/** Reads the history: bounded per server, ordered by purpose, shared where several subscribers need the same page. */
export class HistoryReader {
  readonly #shared = new Map<string, { page: Promise<HistoryPage | undefined>; wanted: (() => boolean)[] }>();
  readonly #reads = new Map<string, Limiter>();

  constructor(
    private readonly broker: SseBroker,
    private readonly failures = new FailureLog(),
  ) {}

  /** Whether the server of the channel has as many reads in flight as it may. */
  isBusy(channel: string): boolean {
    return this.#reads.get(this.broker.serverOf(channel))?.isBusy === true;
  }

  /** Reads after the call, so the tip is not older than the call. Resolves to undefined if the page is not wanted any more. */
  async read(
    channel: string,
    positions: readonly string[] | Newest,
    { purpose, limit = PAGE_EVENTS, bounds, isWanted }: ReadOptions,
  ): Promise<HistoryPage | undefined> {
    const server = this.broker.serverOf(channel);
    const reads = this.#reads.get(server) ?? new Limiter(MAX_READS);
    this.#reads.set(server, reads);
    const read = () => this.broker.read(channel, positions, limit, bounds);
    try {
      const page = await reads.run(read, { priority: PRIORITIES[purpose], isWanted });
      if (!page) return undefined;
      const events = page.events.map((event) => new ChannelEvent(channel, event, event.cursor));
      return { ...page, events };
    } finally {
      if (reads.isIdle) this.#reads.delete(server);
    }
  }

  /** Retries until the read succeeds. Resolves to undefined if the page is not wanted any more. */
  async readPatiently(
    channel: string,
    positions: readonly string[] | Newest,
    options: ReadOptions & { readonly isWanted: () => boolean; readonly onError?: (error: Error) => void },
  ): Promise<HistoryPage | undefined> {
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

  /** Logs why a channel cannot be read. The broker logs outages, once for all channels. */
  report(channel: string, { message }: Error): void {
    if (!this.broker.connected) return;
    // One cause may affect thousands of channels: one log line for all of them.
    const line = `Channel ${channel} delivers nothing until this is fixed: ${message}`;
    this.failures.error(`history ${message.split(' ', 1)[0]}`, line);
  }

  /** Reads for a reconnecting subscriber. Subscribers that need the same page at the same time share one read. */
  readShared(
    channel: string,
    positions: readonly string[] | Newest,
    { limit, bounds, isWanted }: Pick<ReadOptions, 'limit' | 'bounds'> & { readonly isWanted: () => boolean },
  ): Promise<HistoryPage | undefined> {
    const key = JSON.stringify([limit, bounds !== undefined, channel, positions]);
    const reading = this.#shared.get(key);
    if (reading) {
      reading.wanted.push(isWanted);
      return reading.page;
    }
    const wanted = [isWanted];
    const isWantedByAny = () => wanted.some((each) => each());
    const options = { purpose: 'replay', limit, bounds, isWanted: isWantedByAny } as const;
    const page = this.read(channel, positions, options).finally(() => this.#shared.delete(key));
    this.#shared.set(key, { page, wanted });
    return page;
  }
}
