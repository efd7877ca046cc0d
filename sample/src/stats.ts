import { hostname } from 'node:os';
import { Injectable, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { SseService } from 'nestjs-sse-channels';

const PERIOD_MS = 1_000;

/**
 * Once a second, on the channel `stats`, an event of type `figures`, live only: `{ node, streams, channels, events }` of
 * this process, where `events` is how many its streams were given since the last, these included. A process without
 * streams adds nothing, and says nothing.
 */
@Injectable()
export class Stats implements OnApplicationBootstrap, OnModuleDestroy {
  readonly #node = `${hostname()}:${process.pid}`;
  #timer: NodeJS.Timeout | undefined;
  #delivered = 0;

  constructor(private readonly sse: SseService) {}

  onApplicationBootstrap(): void {
    this.#timer = setInterval(() => this.#tell(), PERIOD_MS);
  }

  onModuleDestroy(): void {
    clearInterval(this.#timer);
  }

  #tell(): void {
    const { connected, streams, channels, delivered } = this.sse.stats();
    const events = delivered - this.#delivered;
    this.#delivered = delivered;
    if (!connected || streams === 0) return;
    const figures = { node: this.#node, streams, channels, events };
    // Without Redis there is nobody to tell.
    this.sse.publish(figures, { channel: 'stats', type: 'figures', transient: true }).catch(() => undefined);
  }
}
