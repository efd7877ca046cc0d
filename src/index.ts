export { type SseAccess, SseGrant } from './access/access.js';
export type { SseConnection, SseConnectionEnd, SseEndReason } from './access/connection.js';
export type { DisconnectTarget } from './access/disconnection.js';
export type { PublishOptions, SseEvent } from './event.js';
export type { SseAuthorizer, SseRule } from './http/authorizer.js';
export { ChannelGuard, GrantedChannels } from './http/channel.guard.js';
export { filterEvents } from './http/filter-events.js';
export { heartbeat } from './http/heartbeat.js';
export { LastEventId } from './http/last-event-id.decorator.js';
export { type ChannelRequest, type ChannelSource, fromQuery } from './http/requested-channels.js';
export { SseChannel, type SseChannelOptions } from './http/sse-channel.decorator.js';
export type { SseTarget } from './http/sse-target.js';
export { SseError, type SseErrorCode } from './sse.errors.js';
export type { SseMetrics, SseStats } from './sse.metrics.js';
export { SseModule } from './sse.module.js';
export type {
  RedisClusterOptions,
  SseHistoryOptions,
  SseLimits,
  SseModuleOptions,
  SseOptionsFactory,
} from './sse.options.js';
export { type MessagesOptions, SseService } from './sse.service.js';
