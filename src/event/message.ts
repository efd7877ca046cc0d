import { isCursor, type Publication } from './event.js';
import { elementsOf, memberAt, isTooDeep, membersOf } from './json.js';

/**
 * A decoded message, as it goes through Redis Pub/Sub and is stored in the history (`docs/wire-format.md`).
 *
 * With a `cursor` it is stored and part of its channel's chain: `prev` is the cursor of the event before it, which shows
 * gaps. Without one it is transient, or published by another program.
 */
export interface Message {
  /** The data as it was written, nested at most `MAX_DEPTH` levels deep. */
  readonly json: string;
  readonly type?: string;
  readonly id?: string;
  readonly retry?: number;
  readonly cursor?: string;
  readonly prev?: string;
  /** Whether an earlier stored event had the same publisher's id. */
  readonly reused?: true;
  /** No event, but the beginning of a stream: the chain goes on behind its `cursor`, and nothing before that can be read again. */
  readonly isStart?: true;
  /** Characters of the JSON it came in. */
  readonly size: number;
}

/** An event of the history. */
export type StoredEvent = Message & { readonly cursor: string };

/** Maximum characters of a message: more than the largest event needs with every character escaped. */
const MAX_SIZE = 16_777_216;

/** The versions of stored entries, the name of their one field: an event of a channel, and a pack of events of a stream. */
const [EVENT_VERSION, PACK_VERSION] = ['1', '2'];

/** The type of the end of a stream. */
export const END_TYPE = 'sse.end';

/** How the message of a pack begins, and the end of a stream in a pack. */
const [PACK, END] = ['{"events":[', '{"end":'];

/**
 * The message of a publication, with the keys of Invenio-SSE, without the members that only the broker knows: `cursor`, `prev`, and
 * the `id` where the publisher gave none and the event is `kept`.
 */
export function encodeBody({ data, type, id, retry }: Publication, kept: boolean): string {
  const own = id !== undefined || !kept ? `,"id":${JSON.stringify(id ?? null)}` : '';
  return `{"data":${data},"event":${JSON.stringify(type ?? null)}${own},"retry":${retry ?? null}}`;
}

/** The message of a stored event: its body and its place in the chain. `publish.lua` does the same in Redis. */
export function completeBody(
  body: string,
  { cursor, prev, id, reused }: { cursor: string; prev: string; id?: string; reused?: boolean },
): string {
  const own = id === undefined ? `,"id":"${cursor}"` : '';
  const again = reused ? ',"reused":true' : '';
  return `${body.slice(0, -1)}${again}${own},"cursor":"${cursor}","prev":"${prev}"}`;
}

/** An event of a pack. */
export const encodeStreamEvent = (json: string, type?: string): string =>
  type === undefined ? `{"data":${json}}` : `{"data":${json},"event":${JSON.stringify(type)}}`;

/** The end of a stream, which is the last event of its last pack. @param json the end as JSON */
export const encodeStreamEnd = (json: string): string => `${END}${json}}`;

/** The message of a pack. `stream.lua` does the same in Redis. @param events as a JSON array; `[]` for the beginning of a stream */
export function encodePack(
  events: string,
  { first, cursor, prev }: { first?: string; cursor: string; prev: string },
): string {
  const own = first === undefined ? '' : `,"first":"${first}"`;
  return `{"events":${events}${own},"cursor":"${cursor}","prev":"${prev}"}`;
}

/**
 * Decodes an entry of a channel's stream, whose own id is a cursor: `<prev> <nonce> <body>`, or `<prev> <first> <events>`.
 *
 * @returns none for an entry of another version, or of another program
 */
export function decodeEntry(cursor: string, [version, value = '']: string[]): readonly StoredEvent[] {
  const [prev, second] = value.split(' ', 2);
  if (prev === undefined || second === undefined) return [];
  const body = value.slice(prev.length + second.length + 2);
  const place = { cursor, prev: isCursor(prev) ? prev : undefined };
  if (version === PACK_VERSION) {
    return (Array.isArray(parse(body)) && decodePack(body, { ...place, first: second })) || [];
  }
  const message = version === EVENT_VERSION ? decodeMessage(body) : undefined;
  return message ? [{ ...message, id: message.id ?? cursor, ...place }] : [];
}

/**
 * Decodes a message, from any publisher. A pack contains several.
 *
 * @returns undefined for anything else, and for a message that could forge a control event or a field
 */
export function decodeMessages(text: string): readonly Message[] | undefined {
  const value = text.startsWith(PACK) && text.length <= MAX_SIZE ? parse(text) : undefined;
  if (!value || 'data' in value) {
    const message = decodeMessage(text);
    return message && [message];
  }
  const { events, cursor, prev, first } = value;
  if (!isCursor(cursor) || !isCursor(prev) || !Array.isArray(events)) return undefined;
  if (events.length === 0) return [{ json: 'null', cursor, prev, size: 0, isStart: true }];
  return decodePack(membersOf(text).get('events')!, { cursor, prev, first });
}

/** Decodes the events of a pack, a JSON array: they have consecutive cursors, from `first` to `cursor`. */
function decodePack(
  json: string,
  { first, cursor, prev }: { first: unknown; cursor: string; prev: string | undefined },
): StoredEvent[] | undefined {
  if (!isCursor(first)) return undefined;
  const texts = elementsOf(json);
  const [ms, n] = first.split('-') as [string, string];
  const cursors = texts.map((_, index) => `${ms}-${Number(n) + index}`);
  if (cursors.at(-1) !== cursor) return undefined;
  const events = texts.map((text, index): StoredEvent | undefined => {
    const place = { id: cursors[index]!, cursor: cursors[index]!, prev: cursors[index - 1] ?? prev };
    const end = text.startsWith(END) ? membersOf(text).get('end') : undefined;
    if (end !== undefined) return { json: end, type: END_TYPE, size: text.length, ...place };
    const message = decodeMessage(text);
    return message && { json: message.json, type: message.type, size: message.size, ...place };
  });
  return events.every((event) => event !== undefined) ? events : undefined;
}

/**
 * Decodes a message with one event, from any publisher.
 *
 * @returns undefined for anything else, and for a message that could forge a control event or a field
 */
export function decodeMessage(text: string): Message | undefined {
  if (text.length > MAX_SIZE) return undefined;
  const value = parse(text);
  if (!value || !Object.hasOwn(value, 'data')) return undefined;
  const json = firstData(text) ?? membersOf(text).get('data')!;
  const type = textOf(value.event ?? value.type);
  const ownId = textOf(typeof value.id === 'number' ? membersOf(text).get('id') : value.id);
  const retry = retryOf(value.retry);
  const cursor = cursorOf(value.cursor);
  const prev = cursorOf(value.prev);
  if (type === null || ownId === null || retry === null || cursor === null || prev === null) return undefined;
  if (type?.startsWith('sse.')) return undefined;
  if (isTooDeep(json)) return undefined;
  // Clients would resume from an id in the shape of a cursor at a position that the event never had.
  const id = cursor === undefined && isCursor(ownId) ? undefined : ownId;
  const message = { json, type, id, retry, cursor, prev, size: text.length };
  return value.reused === true ? { ...message, reused: true } : message;
}

/** How the messages of this module begin. */
const DATA = '{"data":';

/** The data of a message that begins with it, as those of this module do, unless the rest may contain another member of that name. */
function firstData(text: string): string | undefined {
  if (!text.startsWith(DATA)) return undefined;
  const json = memberAt(text, DATA.length);
  const rest = text.slice(DATA.length + json.length);
  return rest.includes('"data"') || rest.includes('\\') ? undefined : json.trim();
}

/** The object or array of a JSON text. */
function parse(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

/** Undefined for an absent value, null and '' (which mean the same in Invenio-SSE); null for an unusable one. */
function textOf(value: unknown): string | undefined | null {
  if (value === undefined || value === null || value === '') return undefined;
  // oxlint-disable-next-line no-control-regex -- these three would end the field, or make clients ignore it
  return typeof value === 'string' && !/[\r\n\0]/.test(value) ? value : null;
}

function retryOf(value: unknown): number | undefined | null {
  if (value === undefined || value === null) return undefined;
  const ms = typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : value;
  return Number.isSafeInteger(ms) && (ms as number) >= 0 ? (ms as number) : null;
}

function cursorOf(value: unknown): string | undefined | null {
  if (value === undefined || value === null) return undefined;
  return isCursor(value) ? value : null;
}
