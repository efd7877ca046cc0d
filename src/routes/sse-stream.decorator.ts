import { Render, UseInterceptors } from '@nestjs/common';
import { checkKeys, optionError } from '../common/sse.errors.js';
import { resolveFormat, type SseStreamFormatName } from '../formats/formats.js';
import type { SseStreamFormat } from '../formats/sse-stream-format.js';
import { VIEW } from '../http/platform.js';
import type { SseStreamTarget } from '../streams/sse-stream-target.js';
import type { SseRule } from './authorizer.js';
import { describeRoute } from './openapi.js';
import { type ChannelSource, checkSource } from './requested-channels.js';
import type { SseChannelDecorator } from './sse-channel.decorator.js';
import { withRule, withWriteInterval } from './sse-channel.interceptor.js';
import { SseStreamInterceptor, withFormat } from './sse-stream.interceptor.js';

/** Options of an `@SseStream()` route. */
export interface SseStreamRouteOptions {
  /**
   * Which streams may be read through the route. It decides before it is looked whether there is such a stream.
   *
   * @default what the handler returns
   */
  allow?: SseRule;
  /**
   * Finds the id of the stream in a request, for routes of other methods than GET that have an `allow` rule: there the rule decides before the
   * handler starts the stream.
   */
  stream?: ChannelSource;
  /**
   * Writes the stream in another format. With `ai-ui`, `useChat()` of the AI SDK reads it: only chunks of UI messages, `[DONE]` after the end.
   *
   * @default server-sent events with `sse.open`, `sse.reset` and `sse.end`
   */
  format?: SseStreamFormatName | SseStreamFormat;
  /**
   * How long events may wait for further ones, to go out in one write, in ms, 0–1,000; as the option of the module.
   *
   * @default that of the module
   */
  writeIntervalMs?: number;
}

/**
 * Makes a route deliver a stream: its handler returns `SseStreams.attach()`, for any number of readers on any node, or
 * `SseStreams.start()`, so that the request is the first reader. Put it beside `@Get()` or `@Post()`.
 *
 * The response has the events after the request's Last-Event-ID (header, otherwise query `lastEventId`), otherwise all from the first one; then
 * `sse.end`, with `{ status, reason }` as data, and ends. If nothing is kept of the stream, or the client has its end, the answer
 * is 204, after which an `EventSource` does not reconnect. Connections and rules are as on `@SseChannel()` routes.
 *
 * @throws SseError `SSE_OPTIONS`, when the class is defined, for an unacceptable option
 * @example
 * ```ts
 * @Post('jobs')
 * @SseStream()
 * run(@Body() job: JobDto) {
 *   return this.streams.start(`job:${job.id}`, async (out, signal) => {
 *     for await (const step of work(job, signal)) out.write(step, { type: 'step' });
 *   });
 * }
 *
 * @Get('jobs/:id')
 * @SseStream({ allow: JobReaders })
 * watch(@Param('id') id: string) {
 *   return this.streams.attach(`job:${id}`);
 * }
 * ```
 */
export function SseStream(
  options: SseStreamRouteOptions = {},
): SseChannelDecorator<SseStreamTarget, 'The handler has to return streams.attach() or streams.start()'> {
  checkKeys('SSE_OPTIONS', 'options', options, ['allow', 'stream', 'format', 'writeIntervalMs']);
  if ('stream' in options) {
    checkSource(options.stream);
    if (!('allow' in options))
      throw optionError('allow', 'given, as `stream` finds the id for it', 'nothing');
  }
  const formatting = 'format' in options ? withFormat(resolveFormat(options.format!)) : SseStreamInterceptor;
  const base = 'writeIntervalMs' in options ? withWriteInterval(formatting, options) : formatting;
  const interceptor = 'allow' in options ? withRule(base, options.allow!, options.stream) : base;
  return ((target: object, key: string | symbol, descriptor: PropertyDescriptor) => {
    Render(VIEW)(target, key, descriptor);
    UseInterceptors(interceptor)(target, key, descriptor);
    describeRoute(target, key, { ...('allow' in options && { allow: options.allow }), ends: true });
  }) as ReturnType<typeof SseStream>;
}
