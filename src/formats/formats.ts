import { checkKeys, optionError, show } from '../common/sse.errors.js';
import { AI_UI } from './ai-ui.js';
import type { SseStreamFormat } from './sse-stream-format.js';

/** The name of a format of this package: `ai-ui` is the UI message stream of the AI SDK. */
export type SseStreamFormatName = 'ai-ui';

const FORMATS: Record<SseStreamFormatName, SseStreamFormat> = { 'ai-ui': AI_UI };

/** @throws SseError `SSE_OPTIONS` */
export function resolveFormat(format: SseStreamFormatName | SseStreamFormat): SseStreamFormat {
  if (typeof format === 'string' && Object.hasOwn(FORMATS, format)) return FORMATS[format];
  const { event, end } = Object(format) as Partial<SseStreamFormat>;
  if (typeof event !== 'function' || typeof end !== 'function') {
    const names = Object.keys(FORMATS).map((name) => `'${name}'`);
    throw optionError('format', `${names.join(', ')}, or an object with event() and end()`, show(format));
  }
  // Instances of a class may have fields of their own.
  if (Object.getPrototypeOf(format) === Object.prototype) {
    const known = ['headers', 'event', 'end', 'replaysEnded', 'nothing', 'after'];
    checkKeys('SSE_OPTIONS', 'format', format as object, known);
  }
  return format as SseStreamFormat;
}
