export { collect } from './collect.js';
export { CollectError } from './collect.error.js';
export type { CollectedEvent, CollectOptions } from './collect-options.js';
export { type SseTestingBuilder, SseTestingModule, type SseTestingOptions } from './sse-testing.module.js';
export { type SsePublication, SseTestingService } from './sse-testing.service.js';
