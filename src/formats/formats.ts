import { validateHeaderName, validateHeaderValue } from 'node:http';
import { checkKeys, optionError, show } from '../common/sse.errors.js';
import { HEADERS } from '../http/response-writer.js';
import { AI_UI } from './ai-ui.js';
import type { SseStreamFormat } from './sse-stream-format.js';

/** The name of a format of this package: `ai-ui` is the UI message stream of the AI SDK. */
export type SseStreamFormatName = 'ai-ui';

const FORMATS: Record<SseStreamFormatName, SseStreamFormat> = { 'ai-ui': AI_UI };

/** @throws SseError `SSE_OPTIONS` */
export function resolveFormat(format: SseStreamFormatName | SseStreamFormat): SseStreamFormat {
  if (typeof format === 'string' && Object.hasOwn(FORMATS, format)) return FORMATS[format];
  const { event, end, headers = {}, ...others } = membersOf(format);
  if (typeof event !== 'function' || typeof end !== 'function') {
    const names = Object.keys(FORMATS).map((name) => `'${name}'`);
    throw optionError('format', `${names.join(', ')}, or an object with event() and end()`, show(format));
  }
  // Instances of a class may have fields of their own.
  if (Object.getPrototypeOf(format) === Object.prototype) {
    checkKeys('SSE_OPTIONS', 'format', format as object, ['headers', 'event', 'end', ...Object.keys(OTHERS)]);
  }
  for (const [name, type] of Object.entries(OTHERS)) {
    const value = others[name as keyof typeof OTHERS];
    if (value !== undefined && typeof value !== type)
      throw optionError(`format.${name}`, `a ${type}`, show(value));
  }
  for (const [name, value] of Object.entries(headers)) checkHeader(name, value);
  return format as SseStreamFormat;
}

/** Optional members, and their types. */
const OTHERS = {
  start: 'function',
  replaysEnded: 'boolean',
  nothing: 'function',
  after: 'function',
} as const;

function membersOf(format: unknown): Partial<SseStreamFormat> {
  const { headers, event, end, start, replaysEnded, nothing, after } = Object(
    format,
  ) as Partial<SseStreamFormat>;
  return { headers, event, end, start, replaysEnded, nothing, after };
}

/** What the module or Node sets. */
const OWN_HEADERS = [...Object.keys(HEADERS), 'Content-Length', 'Transfer-Encoding', 'Connection'];

function checkHeader(name: string, value: unknown): void {
  const isOwn = OWN_HEADERS.some((own) => own.toLowerCase() === name.toLowerCase());
  try {
    if (isOwn) throw new TypeError('it is of the event stream');
    validateHeaderName(name);
    validateHeaderValue(name, value as string);
  } catch (error) {
    const got = `${show(name)}: ${show(value)} (${(error as Error).message})`;
    throw optionError('format.headers', 'further headers', got);
  }
}
