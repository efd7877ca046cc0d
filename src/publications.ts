import { performance } from 'node:perf_hooks';
import { Inject, Injectable } from '@nestjs/common';
import { SseBroker } from './broker/broker.js';
import { FailureLog } from './common/failure-log.js';
import { SseError } from './common/sse.errors.js';
import { RESOLVED_OPTIONS, type ResolvedOptions } from './options/sse.options.js';
import { Turns } from './typed-channels/turns.js';
import { checkArguments, type PublishArguments } from './typed-channels/typed-publication.js';

/** How long publications may wait for their schemas when the application closes, in ms. */
const CLOSE_MS = 2_000;

/** Publishes what is acceptable, in the order of the calls, and counts it. */
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
    const publishing = this.#turns.take(channel, publication, (checked) =>
      this.broker.publish(channel, checked),
    );
    publishing.then(
      () => this.#count('published', start),
      (error: unknown) => {
        // Bad input is not counted, whenever it is found.
        if (error instanceof SseError && error.code === 'SSE_UNAVAILABLE') this.#count('rejected', start);
      },
    );
    return publishing;
  }

  /** Hands on what waits for a schema, within 2 s. The broker accepts it until it closes. */
  async settled(): Promise<void> {
    const timeout = AbortSignal.timeout(CLOSE_MS);
    const late = new Promise((resolve) => timeout.addEventListener('abort', resolve));
    await Promise.race([this.#turns.settled(), late]);
  }

  #count(outcome: 'published' | 'rejected', start: number): void {
    if (outcome === 'published') this.published++;
    else this.rejected++;
    try {
      this.options.metrics.publication(performance.now() - start, outcome);
    } catch (error) {
      // A failing metrics adapter must not fail the publication.
      this.#failures.error('metrics', error);
    }
  }
}
