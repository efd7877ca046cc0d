import { AsyncLocalStorage } from 'node:async_hooks';
import { optionError } from '../common/sse.errors.js';

/** Where Nest keeps the parameters of handlers, by kind and position. */
const ARGUMENTS = '__routeArguments__';
/** A parameter of the route: `@Param()`. */
const PARAM = /^5:/;

/** A call of a handler. */
export interface HandlerCall {
  /** The parameters of the route for which it has a `@Param()`, as pipes have made them; undefined if it was not called. */
  parameters?: Readonly<Record<string, unknown>>;
  /** What it has returned itself. */
  returned?: unknown;
}

type Handler = (...args: unknown[]) => unknown;

const calls = new AsyncLocalStorage<HandlerCall>();

/** What happens in the call of a handler that `observeHandler()` has prepared. */
export async function callOf(handle: () => Promise<unknown>): Promise<HandlerCall> {
  const call: HandlerCall = {};
  await calls.run(call, handle);
  return call;
}

/**
 * Lets `callOf()` see what a handler gets: Nest gives the values that have passed the pipes of the route to nothing else.
 *
 * @param names of the parameters
 * @throws SseError `SSE_OPTIONS` if the handler has one of them twice
 */
export function observeHandler(
  [prototype, key, descriptor]: readonly [object, string | symbol, PropertyDescriptor],
  names: readonly string[],
): void {
  const original = descriptor.value as Handler;
  const read = names.map((name) => [name, readerOf(prototype, key, name)] as const);
  const handler = function (this: unknown, ...args: unknown[]): unknown {
    const call = calls.getStore();
    // The handler may change them.
    const given = read.flatMap(([name, reader]) => (reader ? [[name, reader(args)]] : []));
    const returned = original.apply(this, args);
    if (call) Object.assign(call, { parameters: Object.fromEntries(given) as object, returned });
    return returned;
  };
  // What other decorators have left on the handler.
  for (const name of Reflect.getMetadataKeys(original)) {
    Reflect.defineMetadata(name, Reflect.getMetadata(name, original), handler);
  }
  Object.defineProperty(handler, 'name', { value: original.name });
  descriptor.value = handler;
}

/** Finds a parameter of the route among the arguments of a handler; undefined if the handler has none for it. */
function readerOf(
  prototype: object,
  key: string | symbol,
  name: string,
): ((args: readonly unknown[]) => unknown) | undefined {
  const given = Reflect.getMetadata(ARGUMENTS, prototype.constructor, key) as
    Record<string, { index: number; data?: unknown }> | undefined;
  const params = Object.entries(given ?? {})
    .filter(([kind, { data }]) => PARAM.test(kind) && (typeof data !== 'string' || data === name))
    .map(([, param]) => param);
  if (params.length > 1) {
    throw optionError('channel', `the only use of the parameter \`${name}\``, `${params.length} of @Param()`);
  }
  const [param] = params;
  if (!param) return undefined;
  const { index, data } = param;
  // Without a name, it is an object of all, which may have getters.
  return (args) => (data === name ? args[index] : (Object(args[index]) as Record<string, unknown>)[name]);
}
