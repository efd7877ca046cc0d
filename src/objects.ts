/** `Map`, `Error`, … for what is built in, in any realm; `Object` for instances of other classes, and for plain objects. */
export function tagOf(value: unknown): string {
  return Object.prototype.toString.call(value).slice('[object '.length, -1);
}

/** Whether the object is of no class. Its prototype is the last one, whose realm, as in tests, may be another. */
export function isPlain(value: object): boolean {
  const prototype = Object.getPrototypeOf(value) as object | null;
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

/** Whether it is a promise, or awaited like one. */
export function isThenable(value: object): boolean {
  return typeof (value as { then?: unknown }).then === 'function';
}

/**
 * Whether it may hold options: a plain object, or an instance that has fields or some of the known ones. A list, a Map or a promise
 * of options would be taken for no options at all.
 */
export function isOptions(value: unknown, known: readonly string[]): value is object {
  if (typeof value !== 'object' || value === null || tagOf(value) !== 'Object' || isThenable(value))
    return false;
  return isPlain(value) || Object.keys(fieldsOf(value, known)).length > 0;
}

/** The options as fields, inherited ones and those behind a getter of a class included: to spread them would lose these. */
export function fieldsOf(options: object, known: readonly string[]): Record<string, unknown> {
  const given = options as Record<string, unknown>;
  const fields: Record<string, unknown> = {};
  for (const name in given) fields[name] = given[name];
  for (const name of known) if (name in given) fields[name] = given[name];
  return fields;
}
