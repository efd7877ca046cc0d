import type { Logger } from '@nestjs/common';
import { nameOf, show } from '../sse.errors.js';

/** How long a cause is not logged again, and how many are logged in that time, in ms. */
const WINDOW_MS = 10_000;
const MAX_CAUSES = 20;

/** Logs failures that may come by the thousand: each cause once in some seconds. */
export class CauseLog {
  readonly #logged = new Set<string>();
  #since = -Infinity;

  constructor(private readonly logger: Logger) {}

  /** @param what has happened, of which there are few */
  error(what: string, cause: unknown): void {
    const line = `${what}: ${causeOf(cause)}`;
    const now = performance.now();
    if (now - this.#since >= WINDOW_MS) {
      this.#since = now;
      this.#logged.clear();
    }
    if (this.#logged.has(line) || this.#logged.size >= MAX_CAUSES) return;
    this.#logged.add(line);
    this.logger.error(line);
  }
}

/** What was thrown, in one short printable line, whatever it is. */
function causeOf(cause: unknown): string {
  if (!(cause instanceof Error)) return show(cause);
  return cause.message === '' ? nameOf(cause) : show(cause.message);
}
