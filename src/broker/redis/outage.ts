import type { Logger } from '@nestjs/common';
import type { RedisConnection } from './connection.js';

/** Logs when Redis becomes unreachable, and when it is back: one line each per outage, for all connections together. */
export class RedisOutage {
  /** When the outage began. */
  #since: number | undefined;
  #closed = false;

  constructor(
    private readonly isConnected: () => boolean,
    private readonly logger: Logger,
  ) {}

  observe(connection: RedisConnection): void {
    const effect = 'connections stay open, publishing fails';
    connection.client.on('close', () => {
      if (!connection.closed) this.report(`Redis is unreachable (${connection.reason}): ${effect}`);
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

  /** Logs nothing more: closing all connections is no outage. */
  close(): void {
    this.#closed = true;
  }
}
