export { type SseAccess, SseGrant } from './connections/access.js';
export type { SseConnection, SseConnectionEnd, SseEndReason } from './connections/connection.js';
export type { EventsOptions, MessagesOptions } from './connections/request.js';
export type { SseFrom } from './channel/start.js';
export type { DisconnectTarget } from './connections/disconnection.js';
export type { SseFormatEvent, SseFormatRequest, SseStreamFormat } from './formats/sse-stream-format.js';
export type { SseStreamFormatName } from './formats/formats.js';
export type { PublishOptions, SseEvent } from './event/event.js';
export type { SseAuthorizer, SseRule } from './routes/authorizer.js';
export { ChannelGuard, GrantedChannels, StreamGuard } from './routes/channel.guard.js';
export { filterEvents } from './routes/filter-events.js';
export { heartbeat } from './routes/heartbeat.js';
export { LastEventId } from './routes/last-event-id.decorator.js';
export { type ChannelRequest, type ChannelSource, fromQuery } from './routes/requested-channels.js';
export { SseChannel, type SseChannelOptions } from './routes/sse-channel.decorator.js';
export { SseStream, type SseStreamRouteOptions } from './routes/sse-stream.decorator.js';
export type { SseTarget } from './routes/sse-target.js';
export { type SseTicketOptions, SseTickets } from './routes/sse-tickets.service.js';
export { SseError, type SseErrorCode } from './common/sse.errors.js';
export type { SseMetrics, SseStats, SseStreamStats } from './options/sse.metrics.js';
export { SseModule } from './sse.module.js';
export type {
  RedisClusterOptions,
  SseHistoryOptions,
  SseLimits,
  SseModuleOptions,
  SseOptionsFactory,
} from './options/sse.options.js';
export { SseService } from './sse.service.js';
export type { SseStreamEnd, SseStreamStatus } from './broker/streams.js';
export { type SseAttachOptions, SseStreamHandle, SseStreamTarget } from './streams/sse-stream-target.js';
export type { SseStreamSource, SseStreamWriteOptions, SseStreamWriter } from './streams/sse-stream-writer.js';
export type { SseStreamState } from './streams/sse-stream-state.js';
export { type SseStreamProducer, SseStreams } from './streams/sse-streams.service.js';
export type { SseStreamOptions, SseStreamStartOptions } from './streams/stream-options.js';
