'use client';
import { useCallback, useEffect, useInsertionEffect, useRef, useState, useSyncExternalStore } from 'react';
import {
  connect,
  type ConnectOptions,
  type SseAnySource,
  type SseClientDefinition,
  type SseSource,
  type SseTypedSource,
} from './index.js';
import type { SseClientEvent, SseListener } from './listeners.js';
import type { SseTypedEvent, SseTypedListener } from './typed-events.js';

const none = () => undefined;

/** React 18 has no `useEffectEvent()`. */
function useNewest<T>(value: T): { readonly current: T } {
  const newest = useRef(value);
  useInsertionEffect(() => void (newest.current = value));
  return newest;
}

function listen<T>(source: SseSource | undefined, type: string, listener: SseListener<T>): () => void {
  source?.on(type, listener);
  return () => void source?.off(type, listener);
}

/**
 * Connects to a URL while the component is mounted, and to another one when the URL changes. Headers are those of the newest render, the other
 * options those of the render that connects. No event is lost: the first request waits for the listeners of the components that are rendered
 * with the source.
 *
 * @returns undefined until the component is mounted with a URL; always on the server
 */
export function useSseSource(url?: string | URL | null, options?: ConnectOptions): SseSource | undefined;
/**
 * The same for typed channels.
 *
 * @typeParam Definition `typeof` a definition of `defineChannel()`, or a union of several
 */
export function useSseSource<Definition extends SseClientDefinition>(
  url?: string | URL | null,
  options?: ConnectOptions,
): SseTypedSource<Definition> | undefined;
export function useSseSource(
  url?: string | URL | null,
  options: ConnectOptions = {},
): SseAnySource | undefined {
  const href = url?.toString();
  const newest = useNewest(options);
  const [opened, setOpened] = useState<{ href: string; source: SseAnySource; start: () => void }>();
  useEffect(() => {
    if (href === undefined) return;
    let start = () => {};
    const ready = new Promise<void>((resolve) => (start = resolve));
    const { fetch = globalThis.fetch } = newest.current;
    const read = async () => {
      const { headers: now } = newest.current;
      return typeof now === 'function' ? now() : { ...now };
    };
    const send: typeof fetch = (...request) => ready.then(() => fetch(...request));
    const source = connect(href, { ...newest.current, fetch: send, headers: read });
    setOpened({ href, source, start });
    return () => (source.close(), setOpened(undefined));
  }, [href, newest]);
  // The listeners of the same render are added in this turn, and the promise resolves after it.
  useEffect(() => opened?.start(), [opened]);
  return opened?.href === href ? opened?.source : undefined;
}

/** The state of a source; undefined without one, and on the server. `source.error` changes only with it. */
export function useSseState(source: SseAnySource | undefined): SseAnySource['state'] | undefined {
  const subscribe = useCallback(
    (onChange: () => void) => listen(source as SseSource | undefined, 'sse.state', onChange),
    [source],
  );
  return useSyncExternalStore(subscribe, () => source?.state, none);
}

/** The last event of a type of a typed source, since the component was mounted. */
export function useSse<
  Definition extends SseClientDefinition,
  Type extends SseTypedEvent<Definition, string>['type'],
>(source: SseTypedSource<Definition> | undefined, type: Type): SseTypedEvent<Definition, Type> | undefined;
/** Calls the listener of the newest render with each event of a type of a typed source. */
export function useSse<
  Definition extends SseClientDefinition,
  Type extends SseTypedEvent<Definition, string>['type'],
>(
  source: SseTypedSource<Definition> | undefined,
  type: Type,
  listener: SseTypedListener<Definition, Type>,
): void;
/** The last event of a type since the component was mounted. It skips events that arrive before the next render: to get each, pass a listener. */
export function useSse<T = unknown>(
  source: SseSource | undefined,
  type: string,
): SseClientEvent<T> | undefined;
/** Calls the listener of the newest render with each event of a type, as `source.on()` does. It causes no render. */
export function useSse<T = unknown>(
  source: SseSource | undefined,
  type: string,
  listener: SseListener<T>,
): void;
export function useSse<T>(source: SseAnySource | undefined, type: string, listener?: SseListener<T>) {
  const newest = useNewest(listener);
  const [last, setLast] = useState<{ source: SseAnySource; event: SseClientEvent<T> }>();
  useEffect(() => {
    const show = (event: SseClientEvent<T>) => setLast({ source: source!, event });
    return listen<T>(source as SseSource | undefined, type, (data, event) =>
      newest.current ? newest.current(data, event) : show(event),
    );
  }, [source, type, newest]);
  return last?.source === source && last?.event.type === type ? last?.event : undefined;
}
