import { compact, isTooDeep, MAX_DEPTH } from './json.js';
import { isPlain, isThenable, tagOf } from '../common/objects.js';
import { inputError, SseError } from '../common/sse.errors.js';

/** Objects that are checked beside `JSON.stringify()`. With more, or circular ones, it calls the check for each. */
const MAX_OBJECTS = 10_000;

/** Data that is JSON already, published as written. Parsing it would round large numbers. */
export class JsonText {
  readonly json: string;

  /** @throws SyntaxError */
  constructor(text: string) {
    JSON.parse(text);
    this.json = compact(text);
  }
}

/**
 * The data of an event as JSON.
 *
 * @param maxPayloadBytes bound on the data as sent, in UTF-8 bytes
 * @throws SseError `SSE_INPUT` for a value that JSON cannot write, or would write empty
 */
export function serialise(data: unknown, maxPayloadBytes: number): string {
  let json: string | undefined;
  try {
    if (data instanceof JsonText) ({ json } = data);
    else json = isChecked(data) ? JSON.stringify(data) : JSON.stringify(data, checkWritten);
  } catch (cause) {
    if (cause instanceof SseError) throw cause;
    const reason = cause instanceof Error ? cause.message.split('\n')[0] : String(cause);
    throw new SseError('SSE_INPUT', `Expected \`data\` to be serialisable as JSON: ${reason}`, { cause });
  }
  // JSON makes null of NaN, of Infinity and of an invalid Date.
  if (json === undefined || (json === 'null' && data !== null && !(data instanceof JsonText))) {
    throw inputError(
      'data',
      'serialisable as JSON (null is; undefined, functions, symbols, NaN and invalid dates are not)',
      data,
    );
  }
  if (isTooDeep(json)) throw inputError('data', `nested at most ${MAX_DEPTH} levels deep`, data);
  const bytes = Buffer.byteLength(json.startsWith('"') ? (JSON.parse(json) as string) : json);
  if (bytes > maxPayloadBytes) {
    throw new SseError(
      'SSE_INPUT',
      `Expected \`data\` to be at most ${maxPayloadBytes} bytes, got ${bytes}; raise \`maxPayloadBytes\`, or publish a reference to it`,
    );
  }
  return json;
}

const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null;

/**
 * Checks all objects in the data, at a fraction of the time of `JSON.stringify()` with a function.
 *
 * @returns whether all were checked: the result of a `toJSON()` is not known here, and it must be called once only
 * @throws SseError `SSE_INPUT`
 */
function isChecked(data: unknown): boolean {
  const pending = isObject(data) ? [data] : [];
  for (const value of pending) {
    if (pending.length > MAX_OBJECTS) return false;
    if (typeof (value as { toJSON?: unknown }).toJSON === 'function') {
      checkObject(value, false);
      if (value instanceof Date || Buffer.isBuffer(value)) continue;
      return false;
    }
    if (Array.isArray(value)) {
      for (const item of value) if (isObject(item)) pending.push(item);
      continue;
    }
    let isEmpty = true;
    let hasFunction = false;
    for (const key of Object.keys(value)) {
      const item = (value as Record<string, unknown>)[key];
      if (isObject(item)) pending.push(item);
      if (typeof item === 'function') hasFunction = true;
      else if (isWritten(item)) isEmpty = false;
    }
    if (isEmpty || hasFunction || Object.getPrototypeOf(value) !== Object.prototype) {
      checkObject(value, isEmpty);
    }
  }
  return true;
}

/** For `JSON.stringify()`, which calls it with the results of `toJSON()`. */
function checkWritten(this: Record<string, unknown>, key: string, value: unknown): unknown {
  const given = this[key];
  if (given !== value && isObject(given)) checkObject(given, false);
  if (isObject(value) && !Array.isArray(value)) checkObject(value, !Object.values(value).some(isWritten));
  return value;
}

const isWritten = (value: unknown) =>
  value !== undefined && typeof value !== 'function' && typeof value !== 'symbol';

/** @throws SseError `SSE_INPUT` for an object whose content JSON would lose */
function checkObject(value: object, isEmpty: boolean): void {
  const refuse = (way: string) => inputError('data', `what JSON can hold: ${way}`, value);
  if (isThenable(value)) throw refuse('await it');
  const { toJSON, subscribe, pipe } = value as Record<string, unknown>;
  if (typeof toJSON === 'function') return;
  if (value instanceof Error || /^(Error|DOMException)$/.test(tagOf(value))) {
    throw refuse('publish its `message`');
  }
  // An instance of a class of the application may have such a method, and fields.
  const isObservable = typeof subscribe === 'function' && (isEmpty || isPlain(value) || isFunction(pipe));
  if (isObservable || isFunction((value as { [Symbol.asyncIterator]?: unknown })[Symbol.asyncIterator])) {
    throw refuse('publish its values one by one');
  }
  if (/^(Weak)?(Map|Set)$/.test(tagOf(value)) || (isEmpty && holdsOther(value))) {
    throw refuse('publish a list or a plain object of what it holds');
  }
}

const isFunction = (value: unknown) => typeof value === 'function';

/** Whether an object without own fields has content that JSON would lose. */
function holdsOther(value: object): boolean {
  const tag = tagOf(value);
  if (isPlain(value) || /^(Boolean|Number|String)$/.test(tag)) return false;
  const isHeld = (key: PropertyKey) => (value as Record<PropertyKey, unknown>)[key] !== undefined;
  if (tag !== 'Object' || value.valueOf() !== value || Symbol.iterator in value) return true;
  if (Reflect.ownKeys(value).some(isHeld)) return true;
  return classesOf(value).some((prototype) =>
    Object.values(Object.getOwnPropertyDescriptors(prototype)).some((field) => 'get' in field),
  );
}

/** The prototypes of an instance, without the last one, which all objects share. */
function classesOf(value: object): object[] {
  const prototype = Object.getPrototypeOf(value) as object | null;
  return prototype === null || isPlain(value) ? [] : [prototype, ...classesOf(prototype)];
}
