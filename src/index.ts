export { type SseAccess, SseGrant } from './connections/access.js';
export type { SseConnection, SseConnectionEnd, SseEndReason } from './connections/connection.js';
export type { EventsOptions, MessagesOptions } from './connections/request.js';
export type { SseFrom } from './channel/start.js';
export type { DisconnectTarget } from './connections/disconnection.js';
export type { SseFormatEvent, SseFormatRequest, SseStreamFormat } from './formats/sse-stream-format.js';
export type { SseStreamFormatName } from './formats/formats.js';
export type { PublishOptions, SseChannelLike, SseEvent, SseEventInput } from './event/event.js';
export type { SseTypedChannel } from './event/typed-channel.js';
export type { SseAuthorizer, SseRule } from './routes/authorizer.js';
export { ChannelGuard, StreamGuard } from './routes/channel.guard.js';
export { GrantedChannels } from './routes/granted-channels.js';
export { filterEvents } from './routes/filter-events.js';
export { heartbeat } from './routes/heartbeat.js';
export { LastEventId } from './routes/last-event-id.decorator.js';
export { type ChannelRequest, type ChannelSource, fromQuery } from './routes/requested-channels.js';
export {
  SseChannel,
  type SseChannelOptions,
  type SseTypedChannelOptions,
} from './routes/sse-channel.decorator.js';
export { SseStream, type SseStreamRouteOptions } from './routes/sse-stream.decorator.js';
export type { SseTarget } from './routes/sse-target.js';
export { type SseTicketOptions, SseTickets } from './routes/sse-tickets.service.js';
export {
  type AnyDefinition,
  defineChannel,
  type EventSchemas,
  type SseChannelDefinition,
  type SseDataOf,
  type SseEventTypeOf,
  type SseParametersOf,
} from './typed-channels/define-channel.js';
export type { SseTypedEventInput } from './typed-channels/event-list.js';
export type { Jsonify } from './typed-channels/jsonify.js';
export {
  type InputOf,
  type OutputOf,
  type SchemaFailure,
  type SchemaResult,
  type SchemaSuccess,
  type SchemaTypes,
  type StandardProperties,
  type StandardSchema,
  type,
} from './typed-channels/standard-schema.js';
export type {
  SseControlEvent,
  SseEventOf,
  SsePositionData,
  SseResetData,
  SseTypedEvent,
} from './typed-channels/typed-event.js';
export type { SseTypedPublishOptions } from './typed-channels/typed-publication.js';
export {
  SseError,
  type SseErrorCode,
  type SsePublishOutcome,
  type SseSchemaIssue,
  type SseSchemaPathSegment,
} from './common/sse.errors.js';
export type { SseMetrics, SseStats, SseStreamStats } from './options/sse.metrics.js';
export { SseModule } from './sse.module.js';
export type {
  RedisClusterOptions,
  SseCompressionOptions,
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
