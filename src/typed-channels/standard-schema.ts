import type { SseSchemaIssue } from '../common/sse.errors.js';

/**
 * A schema of any library that implements [Standard Schema](https://standardschema.dev), such as zod, valibot and arktype.
 *
 * @typeParam Input what it accepts
 * @typeParam Output what it makes of that
 */
export interface StandardSchema<Input = unknown, Output = Input> {
  /** The properties of the standard. */
  readonly '~standard': StandardProperties<Input, Output>;
}

/** The properties of Standard Schema that are used here. */
export interface StandardProperties<Input = unknown, Output = Input> {
  /** The version of the standard. */
  readonly version: 1;
  /** The name of the library. */
  readonly vendor: string;
  /** Checks a value, and transforms it. */
  readonly validate: (value: unknown) => SchemaResult<Output> | Promise<SchemaResult<Output>>;
  /** For the compiler alone. */
  readonly types?: SchemaTypes<Input, Output> | undefined;
}

/** The types of a schema. */
export interface SchemaTypes<Input, Output> {
  /** What it accepts. */
  readonly input: Input;
  /** What it makes of that. */
  readonly output: Output;
}

/** What a schema finds: a value, or issues. */
export type SchemaResult<Output> = SchemaSuccess<Output> | SchemaFailure;

/** The data fits. */
export interface SchemaSuccess<Output> {
  /** What the schema makes of the data. */
  readonly value: Output;
  /** None. */
  readonly issues?: undefined;
}

/** The data does not fit. */
export interface SchemaFailure {
  /** Why. */
  readonly issues: readonly SseSchemaIssue[];
}

type TypesOf<Schema extends StandardSchema> = NonNullable<Schema['~standard']['types']>;

/** What a schema accepts. */
export type InputOf<Schema extends StandardSchema> = TypesOf<Schema>['input'];

/** What a schema makes of that. */
export type OutputOf<Schema extends StandardSchema> = TypesOf<Schema>['output'];

export function isSchema(value: unknown): value is StandardSchema {
  // Schemas of some libraries are functions.
  if ((typeof value !== 'object' && typeof value !== 'function') || value === null) return false;
  const standard = (value as Partial<StandardSchema>)['~standard'];
  return typeof standard === 'object' && standard?.version === 1 && typeof standard.validate === 'function';
}

const UNCHECKED: StandardSchema = Object.freeze({
  '~standard': Object.freeze({
    version: 1,
    vendor: 'nestjs-sse-channels',
    validate: (value: unknown) => ({ value }),
  }),
});

/**
 * A schema for the compiler alone: data of this type is published as it is, without a check at run time.
 *
 * @typeParam T the type of the data
 */
export const type = <T>(): StandardSchema<T> => UNCHECKED as StandardSchema<T>;

/** Whether it is of `type()`. */
export const isUnchecked = (schema: StandardSchema): boolean => schema === UNCHECKED;
