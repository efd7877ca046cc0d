import { performance } from 'node:perf_hooks';

/** How often a clock ticks, in ms. */
export const TICK_MS = 250;

/**
 * Time in ms without delays of the process itself: at most twice the usual time counts between two ticks. So a process that was
 * blocked or suspended reads what has arrived before it concludes that another side does not answer.
 */
export class AwakeClock {
  #before = 0;
  #ticked = performance.now();

  get now(): number {
    return this.#before + Math.min(performance.now() - this.#ticked, 2 * TICK_MS);
  }

  /** To be called every `TICK_MS`. */
  tick(): number {
    this.#before = this.now;
    this.#ticked = performance.now();
    return this.#before;
  }
}
