import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { hostname } from 'node:os';
import { Injectable, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { SseService } from 'nestjs-sse-channels';

const PERIOD_MS = 1_000;

/** The name of this node. */
export const NODE = `${hostname()}:${process.pid}`;

/**
 * Publishes a transient event of type `metrics` on the channel `stats` once a second: `{ node, port, at, connections, channels, events }`
 * of this node, where `events` is the number of deliveries since the last one. So a page of any node knows all nodes.
 */
@Injectable()
export class Stats implements OnApplicationBootstrap, OnModuleDestroy {
  #timer: NodeJS.Timeout | undefined;
  #delivered = 0;

  constructor(
    private readonly sse: SseService,
    private readonly host: HttpAdapterHost,
  ) {}

  onApplicationBootstrap(): void {
    this.#timer = setInterval(() => this.#publish(), PERIOD_MS);
  }

  onModuleDestroy(): void {
    clearInterval(this.#timer);
  }

  #publish(): void {
    const { connected, connections, channels, delivered } = this.sse.stats();
    const address = (this.host.httpAdapter.getHttpServer() as Server).address() as AddressInfo | null;
    const events = delivered - this.#delivered;
    this.#delivered = delivered;
    if (!connected || !address) return;
    const metrics = { node: NODE, port: address.port, at: Date.now(), connections, channels, events };
    // During an outage the next second has newer ones.
    this.sse.publish(metrics, { channel: 'stats', type: 'metrics', transient: true }).catch(() => undefined);
  }
}
