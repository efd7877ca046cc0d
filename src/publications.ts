import { performance } from 'node:perf_hooks';
import { Inject, Injectable } from '@nestjs/common';
import { type PublishOutcome, SseBroker } from './broker/broker.js';
import { FailureLog } from './common/failure-log.js';
import { SseError, type SsePublishOutcome } from './common/sse.errors.js';
import type { Publication } from './event/event.js';
import { RESOLVED_OPTIONS, type ResolvedOptions } from './options/sse.options.js';
import { type CheckedList, checkEvents } from './typed-channels/event-list.js';
import { Turns } from './typed-channels/turns.js';
import { checkArguments, type PublishArguments } from './typed-channels/typed-publication.js';

/** How long publications may wait for their schemas when the application closes, in ms. */
const CLOSE_MS = 2_000;

/** Checks publications, publishes them in the order of the calls, and counts them. */
@Injectable()
export class Publications {
  readonly #failures = new FailureLog();
  readonly #turns = new Turns();
  published = 0;
  rejected = 0;

  constructor(
    private readonly broker: SseBroker,
    @Inject(RESOLVED_OPTIONS) private readonly options: ResolvedOptions,
  ) {}

  /** @throws SseError for an unacceptable argument, at once or by the promise */
  publish(args: PublishArguments): Promise<string> {
    const { channel, publication } = checkArguments(args, this.options.maxPayloadBytes);
    const start = performance.now();
    const weight = { count: 1, size: 'then' in publication ? 0 : publication.data.length };
    const publishing = this.#turns.take(channel, publication, weight, (checked) =>
      this.broker.publish(channel, checked),
    );
    publishing.then(
      (id) => this.#count(id, start),
      (error: unknown) => this.#count(error, start),
    );
    return publishing;
  }

  /** @throws SseError for an unacceptable list; with the outcome of each event, if one of them is not confirmed */
  async publishAll(events: unknown): Promise<string[]> {
    const list = checkEvents(events, this.options.maxPayloadBytes);
    const start = performance.now();
    const outcomes: PublishOutcome[] = Array.from(list.channels, () => '');
    const publishing = [...placesOf(list.channels)].map(async ([channel, places]) => {
      const results = await this.#publishTo(channel, places, list);
      for (const [index, place] of places.entries()) {
        outcomes[place] = results[index]!;
        this.#count(results[index]!, start);
      }
    });
    await Promise.all(publishing);
    // Of a list with an event that is not acceptable, nothing was published.
    await list.publications;
    const failed = outcomes.filter((outcome) => outcome instanceof SseError);
    if (failed.length > 0) throw failureOf(outcomes, failed);
    return outcomes as string[];
  }

  /** Hands on what waits for a schema, within 2 s. The broker accepts it until it closes. */
  async settled(): Promise<void> {
    const timeout = AbortSignal.timeout(CLOSE_MS);
    const late = new Promise((resolve) => timeout.addEventListener('abort', resolve));
    await Promise.race([this.#turns.settled(), late]);
  }

  /** Takes its turn in the call: no other publication comes between. */
  async #publishTo(
    channel: string,
    places: readonly number[],
    { publications, sizes }: CheckedList,
  ): Promise<readonly PublishOutcome[]> {
    const own = (all: readonly Publication[]) => places.map((place) => all[place]!);
    const checked = 'then' in publications ? publications.then(own) : own(publications);
    const size = places.reduce((sum, place) => sum + sizes[place]!, 0);
    const weight = { count: places.length, size };
    try {
      return await this.#turns.take(channel, checked, weight, (all) => this.broker.publishAll(channel, all));
    } catch (error) {
      if (!(error instanceof SseError)) throw error;
      return places.map(() => error);
    }
  }

  #count(outcome: unknown, start: number): void {
    const isPublished = typeof outcome === 'string';
    // Bad input is not counted, whenever it is found.
    if (!isPublished && !isUnavailable(outcome)) return;
    if (isPublished) this.published++;
    else this.rejected++;
    try {
      this.options.metrics.publication(performance.now() - start, isPublished ? 'published' : 'rejected');
    } catch (error) {
      // A failing metrics adapter must not fail the publication.
      this.#failures.error('metrics', error);
    }
  }
}

/** The places of each channel in a list. */
function placesOf(channels: readonly string[]): ReadonlyMap<string, number[]> {
  const all = new Map<string, number[]>();
  for (const [place, channel] of channels.entries()) {
    const places = all.get(channel);
    if (places) places.push(place);
    else all.set(channel, [place]);
  }
  return all;
}

const isUnavailable = (outcome: unknown) => outcome instanceof SseError && outcome.code === 'SSE_UNAVAILABLE';

/** @param failed the errors of the outcomes. One that a retry may end comes before the others */
function failureOf(results: readonly PublishOutcome[], failed: readonly SseError[]): SseError {
  const { code, message, cause } = failed.find(isUnavailable) ?? failed[0]!;
  const outcomes = results.map((result): SsePublishOutcome => {
    if (!(result instanceof SseError)) return { status: 'published', id: result };
    return { status: result.mayBePublished ? 'unknown' : 'rejected', error: result };
  });
  const count = results.filter((result) => !(result instanceof SseError)).length;
  const mayBePublished = outcomes.some(({ status }) => status !== 'rejected');
  const text = `Published ${count} of ${results.length} events: ${message}`;
  return new SseError(code, text, { cause, mayBePublished, outcomes });
}
