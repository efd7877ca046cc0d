import { checkKeys, errorAt, inputError, SseError } from '../common/sse.errors.js';
import { fieldsOf } from '../common/objects.js';
import { channelOf, checkFields, type Publication, type SseEventInput } from '../event/event.js';
import { SseTypedChannel } from '../event/typed-channel.js';
import type { AnyDefinition, SseDataOf, SseEventTypeOf } from './define-channel.js';
import {
  callOf,
  checkArguments,
  type CheckedCall,
  type PublishCall,
  type SseTypedPublishOptions,
} from './typed-publication.js';

/** As many as may be pending, and characters of their data as JSON. */
const [MAX_EVENTS, MAX_SIZE] = [100_000, 67_108_864];
const KEYS = ['channel', 'type', 'data', 'id', 'retry', 'idempotencyKey', 'transient'];

/**
 * An event of a typed channel in a list for `publishAll()`, and how it is published: its data is what the schema of its type accepts.
 *
 * @typeParam Definition of its channel
 */
export type SseTypedEventInput<Definition extends AnyDefinition> = Definition extends AnyDefinition
  ? {
      [Type in SseEventTypeOf<Definition>]: SseTypedPublishOptions & {
        /** A channel of the definition. */
        channel: SseTypedChannel<Definition>;
        /** One of its event types. */
        type: Type;
        /** What the schema of this type accepts. */
        data: SseDataOf<Definition, Type>;
      };
    }[SseEventTypeOf<Definition>]
  : never;

/** An event of any channel in a list for `publishAll()`. */
export type AnyEventInput = Omit<SseEventInput, 'channel'> & {
  channel?: string | SseTypedChannel<AnyDefinition>;
};

/** What the compiler expects of an event of a list: the type and data of its channel, and no unknown keys. */
export type CheckedInput<Event> = Event extends { channel: SseTypedChannel<infer Definition> }
  ? Definition extends AnyDefinition
    ? SseTypedEventInput<Definition> & WithoutOthers<Event>
    : never
  : SseEventInput & WithoutOthers<Event>;

type WithoutOthers<Event> = { [Key in Exclude<keyof Event, keyof SseEventInput>]?: never };

/** A list whose events are acceptable; by a promise where a schema returns one. */
export interface CheckedList {
  /** Of each event. */
  readonly channels: readonly string[];
  /** Of each event, the characters of its data; 0 while a schema is pending. */
  readonly sizes: readonly number[];
  readonly publications: readonly Publication[] | Promise<readonly Publication[]>;
}

/** Checks the events of `publishAll()`. @throws SseError `SSE_INPUT` before anything is written, with the place in the list; also by the promise */
export function checkEvents(events: unknown, maxPayloadBytes: number): CheckedList {
  if (!Array.isArray(events)) throw inputError('events', 'a list', events);
  const { length } = events;
  if (length > MAX_EVENTS) {
    throw new SseError('SSE_INPUT', `Expected at most ${MAX_EVENTS} of \`events\`, got ${length}`);
  }
  const channels: string[] = [];
  const sizes: number[] = [];
  const publications: (Publication | Promise<Publication>)[] = [];
  const count = sizeCounter();
  let isPending = false;
  try {
    for (let place = 0; place < length; place++) {
      const { channel, publication } = checkEvent(events[place], `events[${place}]`, maxPayloadBytes);
      const isChecked = !('then' in publication);
      channels.push(channel);
      sizes.push(isChecked ? publication.data.length : 0);
      publications.push(isChecked ? count(publication) : publication.then(count));
      isPending ||= !isChecked;
    }
  } catch (error) {
    // Schemas of earlier events have been called already.
    allOf(publications).catch(() => undefined);
    throw error;
  }
  return {
    channels,
    sizes,
    publications: isPending ? allOf(publications) : (publications as Publication[]),
  };
}

/** Bounds the memory that a list takes. @throws SseError `SSE_INPUT` by what it returns */
function sizeCounter(): (publication: Publication) => Publication {
  let size = 0;
  return (publication) => {
    size += publication.data.length;
    if (size <= MAX_SIZE) return publication;
    const message = `Expected at most ${MAX_SIZE} characters of \`events\` as JSON, got more; publish several lists`;
    throw new SseError('SSE_INPUT', message);
  };
}

function checkEvent(event: unknown, path: string, maxPayloadBytes: number): CheckedCall {
  checkKeys('SSE_INPUT', path, event as object, KEYS);
  const { channel, type, data, id, retry, idempotencyKey, transient } = event as AnyEventInput;
  try {
    if (!(channel instanceof SseTypedChannel)) {
      const publication = checkFields(data, event as SseEventInput, maxPayloadBytes);
      return { channel: channelOf(event as SseEventInput), publication };
    }
    const options = { id, retry, idempotencyKey, transient };
    const checked = checkArguments([channel, type, data, options], maxPayloadBytes);
    const { publication } = checked;
    if (!('then' in publication)) return checked;
    const located = publication.catch((error: unknown) => {
      throw errorAt(path, error);
    });
    return { ...checked, publication: located };
  } catch (error) {
    throw errorAt(path, error);
  }
}

/** A copy of an event of a list, whether it is acceptable or not. */
export const fieldsOfEvent = (event: unknown): unknown =>
  typeof event === 'object' && event !== null ? fieldsOf(event, KEYS) : event;

/** What an acceptable event of a list says. */
export function callOfEvent(event: AnyEventInput): PublishCall {
  if (event.channel instanceof SseTypedChannel) {
    const { channel, type, data, ...others } = event;
    return callOf([channel, type, data, others]);
  }
  const { data, ...options } = event as SseEventInput;
  return callOf([data, options]);
}

/** @throws the error of the first event that is not acceptable, in the order of the list */
async function allOf(publications: readonly (Publication | Promise<Publication>)[]): Promise<Publication[]> {
  const settled = await Promise.allSettled(publications.map(async (publication) => publication));
  return settled.map((outcome) => {
    if (outcome.status === 'rejected') throw outcome.reason;
    return outcome.value;
  });
}
