import { checkOptions, type ConnectOptions } from './options.js';

/**
 * Options for a source that is created before its application is ready: their functions wait for that, and then are those that `read()` returns
 * at the time of each call. Headers are read as late, too.
 *
 * @throws TypeError as `connect()`
 */
export function lateOptions(read: () => ConnectOptions, ready: Promise<void>): ConnectOptions {
  const { fetch = globalThis.fetch, ...others } = checkOptions(read());
  const entries = Object.entries({ ...others, fetch }).map(([name, value]: [string, unknown]) => {
    const call = async (...input: unknown[]) => {
      await ready;
      const { [name]: newest = value } = read() as Record<string, unknown>;
      return typeof newest === 'function' ? (newest(...input) as unknown) : newest;
    };
    const isLate = typeof value === 'function' || (name === 'headers' && value !== undefined);
    return [name, isLate ? call : value] as const;
  });
  return Object.fromEntries(entries);
}
