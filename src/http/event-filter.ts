import { AsyncResource } from 'node:async_hooks';
import type { SseEvent } from '../event.js';
import { show, SseError } from '../sse.errors.js';

/** Which events a connection gets. */
export type EventFilter = (event: SseEvent) => boolean;

/**
 * A filter of the application's that runs in the async context of the request that it was made for, whoever publishes or
 * subscribed first: what it finds in an `AsyncLocalStorage` is that request's.
 *
 * @throws SseError `SSE_OPTIONS` from the filter, for an answer other than true and false: a promise would let everything through
 */
export function bindFilter(target: { filter(event: SseEvent): unknown }): EventFilter {
  const context = new AsyncResource('SseFilter', { requireManualDestroy: true });
  return (event) => {
    const passes = context.runInAsyncScope(() => target.filter(event));
    if (typeof passes === 'boolean') return passes;
    const got = typeof passes === 'object' ? show(passes) : typeof passes;
    throw new SseError('SSE_OPTIONS', `Expected \`filter\` to return true or false, got ${got}`);
  };
}
