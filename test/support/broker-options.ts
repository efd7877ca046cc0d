import type { SseModuleOptions } from 'nestjs-sse-channels';
import { randomPrefix, redisUrl } from './redis.js';

/** The options of each broker, for tests that run on both. */
export const brokerOptions = [
  ['in memory', (): SseModuleOptions => ({})],
  ['on Redis', (): SseModuleOptions => ({ redis: redisUrl(), prefix: randomPrefix() })],
] as const;
