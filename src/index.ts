export { type SseAccess, SseGrant } from './connections/access.js';
export type { SseConnection, SseConnectionEnd, SseEndReason } from './connections/connection.js';
export type { EventsOptions, MessagesOptions } from './connections/request.js';
export type { SseFrom } from './channel/start.js';
export type { DisconnectTarget } from './connections/disconnection.js';
export type { PublishOptions, SseEvent } from './event/event.js';
export type { SseAuthorizer, SseRule } from './routes/authorizer.js';
export { ChannelGuard, GrantedChannels } from './routes/channel.guard.js';
export { filterEvents } from './routes/filter-events.js';
export { heartbeat } from './routes/heartbeat.js';
export { LastEventId } from './routes/last-event-id.decorator.js';
export { type ChannelRequest, type ChannelSource, fromQuery } from './routes/requested-channels.js';
export { SseChannel, type SseChannelOptions } from './routes/sse-channel.decorator.js';
export type { SseTarget } from './routes/sse-target.js';
export { SseError, type SseErrorCode } from './common/sse.errors.js';
export type { SseMetrics, SseStats } from './options/sse.metrics.js';
export { SseModule } from './sse.module.js';
export type {
  RedisClusterOptions,
  SseHistoryOptions,
  SseLimits,
  SseModuleOptions,
  SseOptionsFactory,
} from './options/sse.options.js';
export { SseService } from './sse.service.js';
