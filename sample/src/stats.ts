import { hostname } from 'node:os';
import { Injectable, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { SseService } from 'nestjs-sse-channels';

const PERIOD_MS = 1_000;

/**
 * Publishes a transient event of type `metrics` on the channel `stats` once a second: `{ node, connections, channels, events }` of
 * this process, where `events` is the number of deliveries since the last one. A process without connections publishes nothing.
 */
@Injectable()
export class Stats implements OnApplicationBootstrap, OnModuleDestroy {
  readonly #node = `${hostname()}:${process.pid}`;
  #timer: NodeJS.Timeout | undefined;
  #delivered = 0;

  constructor(private readonly sse: SseService) {}

  onApplicationBootstrap(): void {
    this.#timer = setInterval(() => this.#publish(), PERIOD_MS);
  }

  onModuleDestroy(): void {
    clearInterval(this.#timer);
  }

  #publish(): void {
    const { connected, connections, channels, delivered } = this.sse.stats();
    const events = delivered - this.#delivered;
    this.#delivered = delivered;
    if (!connected || connections === 0) return;
    const metrics = { node: this.#node, connections, channels, events };
    // During an outage the next second has newer ones.
    this.sse.publish(metrics, { channel: 'stats', type: 'metrics', transient: true }).catch(() => undefined);
  }
}
