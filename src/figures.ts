import { Inject, Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import { SseBroker } from './broker/broker.js';
import { RESOLVED_OPTIONS, type ResolvedOptions } from './sse.options.js';
import { SseService } from './sse.service.js';

/** Leads the module's figures to where they are wanted, for as long as the application runs. */
@Injectable()
export class Figures implements OnApplicationBootstrap {
  #stop: (() => void) | undefined;

  constructor(
    private readonly sse: SseService,
    private readonly broker: SseBroker,
    @Inject(RESOLVED_OPTIONS) private readonly options: ResolvedOptions,
  ) {}

  async onApplicationBootstrap(): Promise<void> {
    try {
      this.#stop = this.options.metrics.start(() => this.sse.stats());
    } catch (error) {
      // The application does not start, and nobody else would close it.
      await this.broker.close();
      throw error;
    }
  }

  /** Once the last publication has been answered. */
  stop(): void {
    this.#stop?.();
  }
}
