import { AsyncResource } from 'node:async_hooks';
import type { SseEvent } from '../event/event.js';
import { show, SseError } from '../common/sse.errors.js';

/** Decides which events a connection gets. */
export type EventFilter = (event: SseEvent) => boolean;

/**
 * Binds a filter of the application to the async context of its request. Otherwise its `AsyncLocalStorage` would be the
 * publisher's, or that of the first subscriber.
 *
 * @throws SseError `SSE_OPTIONS` from the filter, for a result that is not a boolean
 */
export function bindFilter(target: { filter(event: SseEvent): unknown }): EventFilter {
  const context = new AsyncResource('SseFilter', { requireManualDestroy: true });
  return (event) => checkDecision(context.runInAsyncScope(() => target.filter(event)));
}

/**
 * The decision of a filter. A promise would let every event through.
 *
 * @throws SseError `SSE_OPTIONS` for anything but true and false
 */
export function checkDecision(passes: unknown, name = 'filter'): boolean {
  if (typeof passes === 'boolean') return passes;
  const got = typeof passes === 'object' ? show(passes) : typeof passes;
  throw new SseError('SSE_OPTIONS', `Expected \`${name}\` to return true or false, got ${got}`);
}
