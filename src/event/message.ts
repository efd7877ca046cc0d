import { isCursor, type Publication } from './event.js';
import { isTooDeep, membersOf } from './json.js';

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
  /** Characters of the JSON it came in. */
  readonly size: number;
}

/** An event of the history. */
export type StoredEvent = Message & { readonly cursor: string };

/** Maximum characters of a message: more than the largest event needs with every character escaped. */
const MAX_SIZE = 16_777_216;

/** The version of stored entries that is written, and the only one that is read: the name of their one field. */
const ENTRY_VERSION = '1';

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

/**
 * Decodes an entry of a channel's stream: `<prev> <nonce> <body>`, and its own id as the cursor.
 *
 * @returns undefined for an entry of another version, or of another program
 */
export function decodeEntry(cursor: string, [version, value = '']: string[]): StoredEvent | undefined {
  const [prev, nonce] = value.split(' ', 2);
  if (version !== ENTRY_VERSION || prev === undefined || nonce === undefined) return undefined;
  const message = decodeMessage(value.slice(prev.length + nonce.length + 2));
  if (!message) return undefined;
  return { ...message, id: message.id ?? cursor, cursor, prev: isCursor(prev) ? prev : undefined };
}

/**
 * Decodes a message, from any publisher.
 *
 * @returns undefined for anything else, and for a message that could forge a control event or a field
 */
export function decodeMessage(text: string): Message | undefined {
  if (text.length > MAX_SIZE) return undefined;
  let value: Record<string, unknown>;
  try {
    value = JSON.parse(text) as Record<string, unknown>;
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, 'data')) return undefined;
  const members = membersOf(text);
  const json = members.get('data')!;
  const type = textOf(value.event ?? value.type);
  const ownId = textOf(typeof value.id === 'number' ? members.get('id') : value.id);
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
