import { Injectable } from '@nestjs/common';
import { type HealthIndicatorResult, HealthIndicatorService } from '@nestjs/terminus';
import { SseService } from '../sse.service.js';

/**
 * Whether this process can deliver and publish events, for a readiness check with `@nestjs/terminus`: add it to the
 * providers of the module that imports `TerminusModule`.
 *
 * Not for a liveness check: a process that has lost Redis recovers by itself, and its clients should stay connected.
 */
@Injectable()
export class SseHealthIndicator {
  constructor(
    private readonly sse: SseService,
    private readonly indicators: HealthIndicatorService,
  ) {}

  /**
   * Down while Redis is unreachable, while published events do not arrive (noticed within 20 s), and while the
   * application shuts down. Cost: none, no command is sent.
   *
   * @param key the name of the indicator
   */
  isHealthy<Key extends string = 'sse'>(key = 'sse' as Key): HealthIndicatorResult<Key> {
    const { connected, state, draining, connections, channels } = this.sse.stats();
    const indicator = this.indicators.check(key);
    const details = { redis: state, draining, connections, channels };
    return connected && !draining ? indicator.up(details) : indicator.down(details);
  }
}
