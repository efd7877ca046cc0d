/** An event as a source delivers it. */
export interface SseClientEvent<T = unknown, Type extends string = string> {
  /** The event's type; `message` if it has none. */
  readonly type: Type;
  /** The value that `text` is as JSON; `text` itself if it is not JSON. */
  readonly data: T;
  /**
   * The data as the server sent it. Servers send a published string as it is, so the string `"12"` cannot be told from the number 12: its
   * `data` is the number. Read `text` where strings are published, or numbers with more digits than JavaScript keeps.
   */
  readonly text: string;
  /** The last event id of the connection when the event arrived; '' if there is none. */
  readonly id: string;
}

/** A function that a source calls with each event of a type. */
export type SseListener<T = unknown> = (data: T, event: SseClientEvent<T>) => void;

/** The listeners of a source, by event type. */
export function createListeners() {
  /** Whether each is called once only. */
  const all = new Map<string, Map<SseListener<never>, boolean>>();
  const of = (type: string) => all.get(type) ?? new Map<SseListener<never>, boolean>();
  return {
    add: (type: string, listener: SseListener<never>, isOnce: boolean): void => {
      if (typeof listener !== 'function') throw new TypeError(`Expected a function, got ${String(listener)}`);
      all.set(type, of(type).set(listener, isOnce));
    },

    remove: (type: string, listener: SseListener<never>) => of(type).delete(listener),

    /** A listener that throws does not stop the others. */
    call: (event: SseClientEvent): void => {
      const listeners = of(event.type);
      // Those that are added meanwhile get the next event.
      for (const [listener, isOnce] of Array.from(listeners)) {
        if (!listeners.has(listener)) continue;
        if (isOnce) listeners.delete(listener);
        try {
          (listener as SseListener)(event.data, event);
        } catch (error) {
          report(error);
        }
      }
    },
  };
}

/** As the browser reports what an event listener throws. Node has no `reportError()`. */
function report(error: unknown): void {
  // oxlint-disable-next-line no-console -- there is no other place
  const { reportError = console.error } = globalThis as { reportError?(this: void, error: unknown): void };
  reportError(error);
}
