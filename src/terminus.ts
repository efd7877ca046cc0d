import { Injectable } from '@nestjs/common';
import { type HealthIndicatorResult, HealthIndicatorService } from '@nestjs/terminus';
import { SseService } from './sse.service.js';

/**
 * Whether this process can serve streams and publish, for a readiness check of `@nestjs/terminus`: list it among the
 * providers of the module that imports `TerminusModule`.
 *
 * Not for a liveness check: a process that has lost Redis heals by itself, and its clients are better off connected.
 */
@Injectable()
export class SseHealthIndicator {
  constructor(
    private readonly sse: SseService,
    private readonly indicators: HealthIndicatorService,
  ) {}

  /**
   * Down while Redis is out of reach, while what is published does not arrive (noticed within 20 s), and while the
   * application is ending. Cost: none, no command is sent.
   *
   * @param key the name under which it is reported
   */
  isHealthy<Key extends string = 'sse'>(key = 'sse' as Key): HealthIndicatorResult<Key> {
    const { connected, state, draining, streams, channels } = this.sse.stats();
    const indicator = this.indicators.check(key);
    const figures = { redis: state, draining, streams, channels };
    return connected && !draining ? indicator.up(figures) : indicator.down(figures);
  }
}
