export { ApiSse, type ApiSseOptions } from './api-sse.decorator.js';
export { describeEvents } from './describe-events.js';
export type { SseSchemaTarget } from '../schemas/json-schema.js';
export type { SseSchemaOptions } from '../schemas/payload-schemas.js';
