/** The name of a built-in class (`Map`, `Error`, …), in any realm; `Object` for plain objects and other instances. */
export function tagOf(value: unknown): string {
  return Object.prototype.toString.call(value).slice('[object '.length, -1);
}

/** Whether it is a plain object, also of another realm, as in tests. */
export function isPlain(value: object): boolean {
  const prototype = Object.getPrototypeOf(value) as object | null;
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

/** Whether `await` would treat it as a promise. */
export function isThenable(value: object): boolean {
  return typeof (value as { then?: unknown }).then === 'function';
}

/**
 * Whether it may hold options: a plain object, or an instance with fields. A list, a Map or a promise
 * would count as empty options otherwise.
 */
export function isOptions(value: unknown, known: readonly string[]): value is object {
  if (typeof value !== 'object' || value === null || tagOf(value) !== 'Object' || isThenable(value))
    return false;
  return isPlain(value) || Object.keys(fieldsOf(value, known)).length > 0;
}

/** The options as own fields. Spreading would lose inherited ones and getters of a class. */
export function fieldsOf(options: object, known: readonly string[]): Record<string, unknown> {
  const given = options as Record<string, unknown>;
  const fields: Record<string, unknown> = {};
  for (const name in given) fields[name] = given[name];
  for (const name of known) if (name in given) fields[name] = given[name];
  return fields;
}
