import { channelOf, checkPublication, type Publication, type PublishOptions } from '../event/event.js';
import { SseTypedChannel } from '../event/typed-channel.js';
import { isThenable } from '../common/objects.js';
import { checkKeys, inputError, show, SseError, type SseSchemaIssue } from '../common/sse.errors.js';
import type { AnyDefinition } from './define-channel.js';
import { isUnchecked, type SchemaResult, type StandardSchema } from './standard-schema.js';

/** How an event of a typed channel is published. */
export type SseTypedPublishOptions = Omit<PublishOptions, 'channel' | 'type'>;

const OPTIONS = ['id', 'retry', 'idempotencyKey', 'transient'];
/** How long a schema may take, in ms. */
const VALIDATE_MS = 5_000;
/** Issues that a message shows. */
const SHOWN = 3;

type UntypedArguments = readonly [data: unknown, options?: PublishOptions];
type TypedArguments = readonly [
  channel: SseTypedChannel<AnyDefinition>,
  type: unknown,
  data: unknown,
  options?: SseTypedPublishOptions,
];

/** The arguments of `publish()`. */
export type PublishArguments = UntypedArguments | TypedArguments;

/** A call of `publish()`. */
export interface PublishCall {
  readonly channel: string;
  readonly data: unknown;
  /** With the type. */
  readonly options: PublishOptions;
}

/** A call that is acceptable; by a promise where a schema returns one. */
export interface CheckedCall {
  readonly channel: string;
  readonly publication: Publication | Promise<Publication>;
}

/** What acceptable arguments say. */
export function callOf(args: PublishArguments): PublishCall {
  if (isTyped(args)) {
    const [{ name: channel }, type, data, options] = args;
    return { channel, data, options: { ...options, type: withoutDefault(type as string) } };
  }
  const [data, options = {}] = args;
  return { channel: channelOf(options), data, options };
}

const isTyped = (args: PublishArguments): args is TypedArguments => args[0] instanceof SseTypedChannel;

/** Checks the arguments of `publish()`. @throws SseError `SSE_INPUT` before anything is written */
export function checkArguments(args: PublishArguments, maxPayloadBytes: number): CheckedCall {
  if (isTyped(args)) return checkTyped(args, maxPayloadBytes);
  const [data, options = {}] = args;
  const publication = checkPublication(data, options, maxPayloadBytes);
  return { channel: channelOf(options), publication };
}

function checkTyped(
  [{ name: channel, definition }, type, data, options = {}]: TypedArguments,
  maxPayloadBytes: number,
): CheckedCall {
  const { events, pattern } = definition;
  checkKeys('SSE_INPUT', 'options', options, OPTIONS);
  if (typeof type !== 'string' || !Object.hasOwn(events as object, type)) {
    const types = Object.keys(events as object).map((name) => show(name));
    throw inputError('type', `an event type of \`${pattern}\` (${types.join(', ')})`, type);
  }
  const { id, retry, idempotencyKey, transient } = options;
  const given = { id, retry, idempotencyKey, transient, type: withoutDefault(type) };
  const publicationOf = (value: unknown) => checkPublication(value, given, maxPayloadBytes);
  const schema = (events as Record<string, StandardSchema>)[type]!;
  const publication = isUnchecked(schema)
    ? publicationOf(data)
    : validate(schema, data, { about: `\`data\` of \`${type}\` in \`${pattern}\``, accept: publicationOf });
  return { channel, publication };
}

interface Validation<T> {
  /** What is validated, for messages. */
  readonly about: string;
  /** Gets what the schema makes of the data. */
  readonly accept: (value: unknown) => T;
}

/**
 * @returns a promise where the schema returns one
 * @throws SseError `SSE_INPUT` where the data does not fit, `SSE_UNAVAILABLE` where the schema fails; also by the promise
 */
function validate<T>(
  schema: StandardSchema,
  data: unknown,
  { about, accept }: Validation<T>,
): T | Promise<T> {
  const decide = (result: SchemaResult<unknown>) => accept(valueOf(result, about));
  let result: SchemaResult<unknown> | Promise<SchemaResult<unknown>>;
  let isPending: boolean;
  try {
    result = schema['~standard'].validate(data);
    isPending = typeof result === 'object' && result !== null && isThenable(result);
  } catch (error) {
    throw failure(about, error);
  }
  return isPending
    ? withinTime(result as Promise<SchemaResult<unknown>>, about).then(decide)
    : decide(result as SchemaResult<unknown>);
}

/** `message` is the type of events without one. */
const withoutDefault = (type: string): string | undefined =>
  type === '' || type === 'message' ? undefined : type;

async function withinTime<T>(result: Promise<T>, about: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    const give = () => reject(failure(about, `no result within ${VALIDATE_MS} ms`));
    timer = setTimeout(give, VALIDATE_MS).unref();
  });
  const settled = Promise.resolve(result).catch((error: unknown) => {
    throw failure(about, error);
  });
  return Promise.race([settled, late]).finally(() => clearTimeout(timer));
}

/** Nothing is known of the data. The caller may try again, and a client gets no details. */
function failure(about: string, cause: unknown): SseError {
  const message = `The schema for ${about} has failed: ${show(cause instanceof Error ? cause.message : cause)}`;
  return new SseError('SSE_UNAVAILABLE', message, { cause });
}

/** @throws SseError for anything but a result with a value */
function valueOf(result: SchemaResult<unknown>, about: string): unknown {
  const found = Object(result) as { readonly issues?: unknown; readonly value?: unknown };
  const { issues } = found;
  if (issues === undefined) {
    if ('value' in found) return found.value;
    throw failure(about, 'it gives neither a value nor issues');
  }
  const list = Array.isArray(issues) ? (issues as readonly unknown[]) : [];
  const shown = list.slice(0, SHOWN).map(textOf);
  const more = list.length > SHOWN ? `; and ${list.length - SHOWN} more` : '';
  const message = `Expected ${about} to fit its schema: ${shown.join('; ') || 'it does not'}${more}`;
  throw new SseError('SSE_INPUT', message, { issues: list as readonly SseSchemaIssue[] });
}

/** One printable line: the message of a schema may quote the data. */
function textOf(issue: unknown): string {
  const { message, path } = Object(issue) as Partial<SseSchemaIssue>;
  const keys = Array.isArray(path) ? Array.from(path, (part) => keyOf(part)) : [];
  const text = show(message);
  return keys.length === 0 ? text : `${show(keys.join('.')).slice(1, -1)}: ${text}`;
}

const keyOf = (part: unknown) =>
  String(typeof part === 'object' && part !== null ? (part as { key?: unknown }).key : part);
