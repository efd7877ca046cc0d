import { Injectable, Module } from '@nestjs/common';
import type { SseModuleOptions, SseOptionsFactory } from 'nestjs-sse-channels';
import { randomPrefix, redisUrl } from './redis.js';

@Injectable()
export class Config implements SseOptionsFactory {
  readonly prefix = randomPrefix();

  createSseOptions(): SseModuleOptions {
    return { redis: redisUrl(), prefix: this.prefix };
  }
}

@Module({ providers: [Config], exports: [Config] })
export class ConfigModule {}
