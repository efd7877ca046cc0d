import type { Logger } from '@nestjs/common';
import type { RedisConnection } from './redis.connection.js';

/** Says when Redis is gone, and when it is back: one line each, however long it takes and however many connections break. */
export class RedisOutage {
  /** Since when it lasts. */
  #since: number | undefined;
  #closed = false;

  constructor(
    private readonly isConnected: () => boolean,
    private readonly logger: Logger,
  ) {}

  observe(connection: RedisConnection): void {
    const fate = 'streams stay open, publishing fails';
    connection.client.on('close', () => {
      if (!connection.closed) this.report(`Redis is out of reach (${connection.reason}): ${fate}`);
    });
    connection.client.on('ready', () => this.report());
  }

  report(trouble?: string): void {
    if (this.#closed) return;
    const now = performance.now();
    if (this.#since === undefined && trouble !== undefined && !this.isConnected()) {
      this.#since = now;
      this.logger.warn(trouble);
    } else if (this.#since !== undefined && this.isConnected()) {
      this.logger.log(`Redis is back, after ${((now - this.#since) / 1_000).toFixed(1)} s`);
      this.#since = undefined;
    }
  }

  /** Says nothing any more: that all connections go is no outage. */
  close(): void {
    this.#closed = true;
  }
}
