import { serialise } from './data.js';
import { checkKeys, inputError, SseError } from '../common/sse.errors.js';
import { SseTypedChannel } from './typed-channel.js';

/**
 * One event, as a subscriber gets it. All subscribers of a process share the same frozen object: copy it to change it
 * (`{ ...event, data }`), and keep `id`.
 *
 * Nest's `@Sse()` writes events whose `data` is a string or an object; `heartbeat()` converts other data for it.
 */
export interface SseEvent<T = unknown> {
  /** The id to resume after: the publisher's own, otherwise the broker's cursor. */
  id: string;
  /** The channel it was published to. */
  channel: string;
  /** The event's name; absent for `message`. */
  type?: string;
  /** The reconnection time that the publisher has set, in ms. */
  retry?: number;
  /** The published data, as JSON keeps it: the number 5 is 5, the string '5' is '5', a Date is its text. */
  data: T;
}

/** How an event is published. All fields are optional. */
export interface PublishOptions {
  /** 1–200 letters, digits and `_ . : - / @ ~`, after NFC. @default 'sse' */
  channel?: string;
  /** Event name for `addEventListener`; without one the event goes to `onmessage`. 1–128 characters. */
  type?: string;
  /** The id clients resume from. 1–128 printable ASCII characters; as a number, at most ±(2^53 - 1) if whole. @default the broker's cursor */
  id?: string | number;
  /** Reconnection time for the client, in ms: a whole number, 0–3,600,000. */
  retry?: number;
  /** A second publish to the channel with this key within 10 minutes returns the first one's id. 1–128 characters, as `id`. */
  idempotencyKey?: string;
  /** Not stored: the event reaches connected clients only. Not with `id` or `idempotencyKey`. @default false */
  transient?: boolean;
}

/** An event of a list for `publishAll()`, and how it is published. */
export interface SseEventInput extends PublishOptions {
  /** A string, sent unchanged, or any JSON value, sent as JSON, nested at most 500 levels deep. */
  data: unknown;
}

/** An event that passed every check, with its data serialised, as brokers publish it. */
export interface Publication {
  readonly data: string;
  readonly type?: string;
  readonly id?: string;
  readonly retry?: number;
  readonly idempotencyKey?: string;
  readonly transient: boolean;
}

/** A channel by its name, or a typed channel. */
export type SseChannelLike = string | SseTypedChannel;

export const DEFAULT_CHANNEL = 'sse';
/** Per connection: their positions have to fit into the Last-Event-ID header. */
const MAX_CHANNELS = 100;
const MAX_RETRY_MS = 3_600_000;

const OPTIONS = ['channel', 'type', 'id', 'retry', 'idempotencyKey', 'transient'];

const CHANNEL = /^[\p{L}\p{N}_.:\-/@~]{1,200}$/u;
const PRINTABLE = /^[\x21-\x7e]{1,128}$/;
const CURSOR = /^\d{10,16}-\d{1,16}$/;
// oxlint-disable-next-line no-control-regex -- controls are what it looks for
const TYPE = /^[^\u0000-\u001f\u007f-\u009f]{1,128}$/u;

/** Whether the text has the shape of the broker's own cursors, `<ms>-<n>`. */
export function isCursor(text: unknown): text is string {
  return typeof text === 'string' && CURSOR.test(text);
}

/** Whether the text may be a position in a channel: a cursor of a broker, or a publisher's own id. */
export function isPosition(text: string): boolean {
  return PRINTABLE.test(text) && !(isCursor(text) && /^0|-0\d/.test(text));
}

/** Orders two cursors of one channel: negative if `a` is older, 0 if they are the same, positive if newer. */
export function compareCursors(a: string, b: string): number {
  const [aMs, aN] = a.split('-').map(Number) as [number, number];
  const [bMs, bN] = b.split('-').map(Number) as [number, number];
  return aMs - bMs || aN - bN;
}

/**
 * The channel in its one canonical form (NFC, so that two spellings of `é` are one channel).
 *
 * @throws SseError `SSE_INPUT`
 */
export function checkChannel(channel: unknown, argument = 'channel'): string {
  const name = typeof channel === 'string' ? channel.normalize('NFC') : '';
  if (!CHANNEL.test(name)) {
    throw inputError(argument, '1–200 letters, digits and _ . : - / @ ~', channel);
  }
  return name;
}

/** The name of a channel or of a typed one. @throws SseError `SSE_INPUT` */
export function nameOfChannel(channel: unknown): string {
  return channel instanceof SseTypedChannel ? channel.name : checkChannel(channel);
}

/**
 * The channel that options name, or the default one. An undefined channel is a mistake that would reach other subscribers.
 *
 * @throws SseError `SSE_INPUT`
 */
export function channelOf(options: { channel?: unknown }): string {
  if (options.channel instanceof SseTypedChannel) {
    throw inputError(
      'channel',
      'a name: publish(channel, type, data) checks the data of a typed one',
      options.channel,
    );
  }
  return 'channel' in options ? checkChannel(options.channel) : DEFAULT_CHANNEL;
}

/** The channels of one connection: 1–100, each in canonical form, each once. @throws SseError `SSE_INPUT` */
export function checkChannels(channels: unknown): string[] {
  if (!Array.isArray(channels)) return [nameOfChannel(channels)];
  if (channels.length === 0) throw new SseError('SSE_INPUT', 'Expected at least one `channel`, got none');
  if (channels.length > MAX_CHANNELS) {
    throw new SseError(
      'SSE_INPUT',
      `Expected at most ${MAX_CHANNELS} of \`channel\`, got ${channels.length}`,
    );
  }
  return [...new Set(channels.map(nameOfChannel))];
}

/**
 * Checks the arguments of `publish()` and serialises the data, once.
 *
 * @param maxPayloadBytes bound on the data as sent, in UTF-8 bytes
 * @throws SseError `SSE_INPUT`, before anything is written
 */
export function checkPublication(
  data: unknown,
  options: PublishOptions,
  maxPayloadBytes: number,
): Publication {
  checkKeys('SSE_INPUT', 'options', options, OPTIONS);
  return checkFields(data, options, maxPayloadBytes);
}

/** The same, where keys are known. */
export function checkFields(data: unknown, options: PublishOptions, maxPayloadBytes: number): Publication {
  if (data instanceof SseTypedChannel)
    throw inputError('type', 'an event type of the typed channel', undefined);
  const { transient = false, idempotencyKey, retry, type } = options;
  const id = options.id === undefined ? undefined : checkId(options.id);
  if (typeof transient !== 'boolean') throw inputError('transient', 'true or false', transient);
  if (transient && (id !== undefined || idempotencyKey !== undefined)) {
    throw new SseError(
      'SSE_INPUT',
      'A transient event takes no `id` and no `idempotencyKey`: it is not kept',
    );
  }
  if (
    idempotencyKey !== undefined &&
    !(typeof idempotencyKey === 'string' && PRINTABLE.test(idempotencyKey))
  ) {
    throw inputError('idempotencyKey', '1–128 printable ASCII characters without spaces', idempotencyKey);
  }
  if (type !== undefined) checkType(type);
  if (retry !== undefined && !(Number.isInteger(retry) && retry >= 0 && retry <= MAX_RETRY_MS)) {
    throw inputError('retry', `a whole number of milliseconds, 0–${MAX_RETRY_MS}`, retry);
  }
  return { data: serialise(data, maxPayloadBytes), type, id, retry, idempotencyKey, transient };
}

function checkId(id: unknown): string {
  const text = typeof id === 'number' && Number.isFinite(id) ? String(id) : id;
  if (typeof text !== 'string' || !PRINTABLE.test(text)) {
    throw inputError('id', '1–128 printable ASCII characters without spaces, or a finite number', id);
  }
  // JavaScript has rounded it, so different ids may be equal now.
  if (Number.isInteger(id) && !Number.isSafeInteger(id)) {
    throw inputError('id', 'a text, as no number holds all digits of one this large', id);
  }
  if (isCursor(text)) throw inputError('id', 'no cursor: <ms>-<n> is the shape of the broker’s own ids', id);
  return text;
}

/** @throws SseError `SSE_INPUT` for a type that a publisher may not use */
export function checkType(type: unknown): void {
  if (typeof type !== 'string' || !TYPE.test(type)) {
    throw inputError('type', '1–128 characters without controls', type);
  }
  if (type.startsWith('sse.') || type === 'error' || type === 'open') {
    throw inputError(
      'type',
      'none of `error`, `open` and `sse.*`, which EventSource and this module use',
      type,
    );
  }
}
