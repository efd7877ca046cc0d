import { setTimeout as sleep } from 'node:timers/promises';
import { PAGE_EVENTS, type Page, type SseBroker } from '../broker/broker.js';
import { Limiter } from '../limiter.js';
import { type ChannelEvent, channelEvent } from './channel-event.js';

/** Reads under way at once, in the whole process: a crowd that comes back must not keep Redis from publishing. */
const MAX_READS = 16;

/** How long to wait after so many failures in a row, in ms. */
export const retryMs = (failures: number): number => Math.min(5 * 2 ** failures, 1_000) * (1 + Math.random());

/** A page of history as subscribers get it. */
export interface Passage extends Omit<Page, 'events'> {
  readonly events: readonly ChannelEvent[];
}

/** All reading of history in this process. */
export class HistoryReader {
  readonly #shared = new Map<string, Promise<Passage>>();
  readonly #reads = new Limiter(MAX_READS);

  constructor(private readonly broker: SseBroker) {}

  /** Whether as many reads are under way as there may be. */
  get isBusy(): boolean {
    return this.#reads.isBusy;
  }

  /** Reads after the call: what it says of the tip is no older. */
  async read(channel: string, positions: readonly string[], limit = PAGE_EVENTS): Promise<Passage> {
    return this.#reads.run(async () => {
      const page = await this.broker.read(channel, positions, limit);
      return { ...page, events: page.events.map((event) => channelEvent(channel, event, event.cursor)) };
    });
  }

  /** The same until it succeeds, or is not wanted any more: then the answer is an empty page. */
  async readPatiently(
    channel: string,
    position: string,
    { isWanted, limit }: { isWanted: () => boolean; limit?: number },
  ): Promise<Passage> {
    for (let failures = 1; isWanted(); failures++) {
      try {
        return await this.readShared(channel, position, limit);
      } catch {
        await sleep(retryMs(failures), undefined, { ref: false });
      }
    }
    return { tip: '', end: '', events: [] };
  }

  /** What follows a position, read once for all who ask for it at the same time. */
  readShared(channel: string, position: string, limit = PAGE_EVENTS): Promise<Passage> {
    const key = `${limit} ${channel} ${position}`;
    let reading = this.#shared.get(key);
    if (!reading) {
      reading = this.read(channel, [position], limit).finally(() => this.#shared.delete(key));
      this.#shared.set(key, reading);
    }
    return reading;
  }
}
