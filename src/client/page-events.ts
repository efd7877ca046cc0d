interface PageEvents {
  document?: { hidden: boolean };
  addEventListener?(type: string, listener: () => void, options: { signal: AbortSignal }): void;
}

/**
 * Reports when timers may have stood still or the network was unavailable, in a browser; in Node, never.
 *
 * @param onHide the page may go to the back/forward cache, from which browsers exclude pages with open connections
 */
export function watchPage(signal: AbortSignal, onWake: () => void, onHide: () => void): void {
  const page = globalThis as PageEvents;
  const listen = (type: string, listener: () => void) => page.addEventListener?.(type, listener, { signal });
  listen('online', onWake);
  listen('pageshow', onWake);
  listen('pagehide', onHide);
  listen('visibilitychange', () => page.document!.hidden || onWake());
}
