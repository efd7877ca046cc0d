/**
 * Publishes a plan, one turn of it in one turn of the event loop.
 *
 * It stays at most `window` turns ahead of the clients. Otherwise a server that cannot keep up would be measured while
 * it fills its memory, and with the backlog of earlier turns.
 */
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import { deliveriesPerTurn, now, turnsOf } from './plan.js';

export class Pace {
  #confirmed = 0;
  #wake = () => undefined;

  /** @param publish takes the events of a turn */
  constructor(publish) {
    this.publish = publish;
  }

  /** The number of deliveries to clients so far, or Infinity to stop waiting. */
  confirm(deliveries) {
    this.#confirmed = deliveries;
    this.#wake();
  }

  async run(plan) {
    const { rate, window = 20 } = plan;
    const perTurn = deliveriesPerTurn(plan);
    this.#confirmed = 0;
    const start = performance.now();
    let turn = 0;
    for (const events of turnsOf(plan)) {
      while (turn * perTurn - this.#confirmed >= window * perTurn) {
        await new Promise((resolve) => {
          this.#wake = resolve;
        });
      }
      if (this.#confirmed === Infinity) return;
      const early = rate === undefined ? 0 : start + (turn * 1_000) / rate - performance.now();
      await (early > 1 ? sleep(early) : nextTurn());
      const t = Math.round(now());
      for (const { data } of events) data.t = t;
      await this.publish(events);
      turn++;
    }
  }
}
