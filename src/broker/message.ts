import { isCursor, type Publication } from '../event.js';
import { isTooDeep, membersOf } from '../json.js';

/**
 * A message, decoded: what travels through Redis Pub/Sub and is kept in the history (`docs/wire-format.md`).
 *
 * With a `cursor` it is a link of its channel's chain: `prev` is the cursor of the event before it, which is how
 * a gap is seen. Without one it is passing by: transient, or published by something else than this module.
 */
export interface Message {
  /** The data as it was written, nested at most `MAX_DEPTH` levels deep. */
  readonly json: string;
  readonly type?: string;
  readonly id?: string;
  readonly retry?: number;
  readonly cursor?: string;
  readonly prev?: string;
  /** Whether an event that was kept at the time had the same id of its publisher's. */
  readonly reused?: true;
  /** Characters of the JSON it came in. */
  readonly size: number;
}

/** An event of the history: a message that has its place in the chain. */
export type StoredEvent = Message & { readonly cursor: string };

/** Maximum characters of a message: more than the largest event needs with every character escaped. */
const MAX_SIZE = 16_777_216;

/** The version of stored entries that is written, and the only one that is read: the name of their one field. */
const ENTRY_VERSION = '1';

/**
 * The message of a publication, in Invenio-SSE's keys, but for what only the broker knows: `cursor`, `prev`, and
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
 * @returns undefined for one of another version, or of somebody else's
 */
export function decodeEntry(cursor: string, [version, value = '']: string[]): StoredEvent | undefined {
  const [prev, nonce] = value.split(' ', 2);
  if (version !== ENTRY_VERSION || prev === undefined || nonce === undefined) return undefined;
  const message = decodeMessage(value.slice(prev.length + nonce.length + 2));
  if (!message) return undefined;
  return { ...message, id: message.id ?? cursor, cursor, prev: isCursor(prev) ? prev : undefined };
}

/**
 * Decodes a message, from whoever published it.
 *
 * @returns undefined for what is not such a message, or could forge a control event or a field of a stream
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
  // A passer-by with an id in the shape of a cursor would send its readers to a place in the chain it never had.
  const id = cursor === undefined && isCursor(ownId) ? undefined : ownId;
  const message = { json, type, id, retry, cursor, prev, size: text.length };
  return value.reused === true ? { ...message, reused: true } : message;
}

/** Absent is undefined, for null and '' too (Invenio-SSE means nothing else by them); unusable is null. */
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
