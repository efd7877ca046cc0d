import type { CollectedEvent } from './collect-options.js';

/** How many events an error message shows, and how many characters of each. */
const MAX_SHOWN = 20;
const MAX_SHOWN_LENGTH = 200;

/** The answer that a client got instead of an event stream. */
export interface CollectAnswer {
  readonly status: number;
  readonly contentType: string | undefined;
  /** Its beginning: the first 1,000 characters, or what came within the time limit. */
  readonly body: string;
}

/** The error of `collect()`, unless an argument is unacceptable or the application does not answer. */
export class CollectError extends Error {
  /** Always `CollectError`. */
  override readonly name = 'CollectError';
  /** The events that arrived before. */
  readonly events: readonly CollectedEvent[];
  /** The status of a response without events; undefined for an event stream, and without a response. */
  readonly status: number | undefined;
  /** The beginning of such a response's body, at most 1,000 characters. */
  readonly body: string | undefined;

  constructor(
    message: string,
    {
      events = [],
      answer,
      cause,
    }: { events?: readonly CollectedEvent[]; answer?: CollectAnswer; cause?: Error } = {},
  ) {
    super(message, cause && { cause });
    this.events = events;
    this.status = answer?.status;
    this.body = answer?.body;
  }
}

/** The events as a message lists them, one a line. */
export function listOf(events: readonly CollectedEvent[]): string {
  if (events.length === 0) return 'none';
  const lines = events.slice(0, MAX_SHOWN).map((event) => JSON.stringify(event).slice(0, MAX_SHOWN_LENGTH));
  if (events.length > MAX_SHOWN) lines.push(`… and ${events.length - MAX_SHOWN} more`);
  return `${events.length}:\n  ${lines.join('\n  ')}`;
}

/** The answer as a message shows it. */
export function showAnswer({ status, contentType, body }: CollectAnswer): string {
  return `${status} ${contentType ?? 'without a content type'}${body === '' ? '' : `: ${body.trimEnd()}`}`;
}
