export type { PublishOptions, SseEvent } from './event.js';
export { heartbeat } from './http/heartbeat.js';
export type { SseTarget } from './http/event-streams.js';
export { LastEventId } from './http/last-event-id.decorator.js';
export { SseChannel } from './http/sse-channel.decorator.js';
export { SseError, type SseErrorCode } from './sse.errors.js';
export { SseModule } from './sse.module.js';
export type { SseHistoryOptions, SseModuleOptions, SseOptionsFactory } from './sse.options.js';
export { SseService, type SseStats } from './sse.service.js';
