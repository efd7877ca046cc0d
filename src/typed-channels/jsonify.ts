/** What is JSON already. Recursive types of an application are compared with it as a whole. */
type JsonValue =
  string | number | boolean | null | readonly JsonValue[] | { readonly [name: string]: JsonValue };

/** What JSON leaves out of an object, and makes null in a list. */
type Unwritten = undefined | symbol | ((...args: never[]) => unknown);

type Written<T> = Exclude<T, Unwritten>;

/** A field that JSON always leaves out is none. */
type WrittenName<T, K extends keyof T> = K extends symbol
  ? never
  : [Written<T[K]>] extends [never]
    ? never
    : K;

/** A field that JSON may leave out is optional. */
type MayLack<T, K extends keyof T> = [Extract<T[K], Unwritten>] extends [never] ? false : true;

type JsonifyObject<T> = {
  [K in keyof T as MayLack<T, K> extends true ? never : WrittenName<T, K>]: Jsonify<T[K]>;
} & {
  [K in keyof T as MayLack<T, K> extends true ? WrittenName<T, K> : never]?: Jsonify<Written<T[K]>>;
};

type JsonifyItem<T> =
  | (Extract<T, Unwritten> extends never ? never : null)
  | ([Written<T>] extends [never] ? never : Jsonify<Written<T>>);

/** What `JSON.stringify()` takes in the place of its object. */
interface WithJson<Json> {
  toJSON(key?: never): Json;
}

type IsAny<T> = 0 extends 1 & T ? true : false;

/**
 * What a value is after `JSON.stringify()` and `JSON.parse()`: a `Date` is its text, `undefined` and functions are left out of objects, the
 * result of `toJSON()` takes the place of its object. What cannot be published is `never`: a `bigint`, a `Map`, a `Set`, a promise.
 */
export type Jsonify<T> =
  IsAny<T> extends true
    ? T
    : unknown extends T
      ? T
      : T extends JsonValue
        ? T
        : T extends WithJson<infer Json>
          ? Jsonify<Json>
          : T extends
                | bigint
                | Unwritten
                | ReadonlyMap<unknown, unknown>
                | ReadonlySet<unknown>
                | PromiseLike<unknown>
                | Error
            ? never
            : T extends readonly unknown[]
              ? { [I in keyof T]: JsonifyItem<T[I]> }
              : T extends object
                ? JsonifyObject<T> extends infer O
                  ? { [K in keyof O]: O[K] }
                  : never
                : never;
