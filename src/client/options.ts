/** Options of `connect()`. */
export interface ConnectOptions {
  /**
   * Request headers, or a function that is called before each attempt to connect, for example for a fresh access token.
   *
   * A request to another origin with headers, `Last-Event-ID` included, needs the server's permission (`Access-Control-Allow-Headers`).
   */
  headers?: HeaderValues | (() => HeaderValues | Promise<HeaderValues>) | undefined;
  /** Gets a ticket that is valid once, before each attempt. It is sent as `?ticket=`. */
  ticket?: (() => Promise<string>) | undefined;
  /** Where to continue: the events after this one are delivered. @default with the next event */
  lastEventId?: string | undefined;
  /**
   * Loads the state that the events change, and returns its position, by `SseService.position()`: the events after it follow. It is called
   * before the first attempt if there is no `lastEventId`, and again after each `sse.reset`, on a new connection.
   */
  snapshot?: (() => Promise<SseSnapshot>) | undefined;
  /**
   * Sends the requests: for example with `credentials: 'include'`, which cookies of another origin need.
   *
   * @default the global `fetch`
   */
  fetch?: typeof globalThis.fetch | undefined;
  /** Shares one connection among the tabs of a browser: `tabs()` of `nestjs-sse-channels/client/tabs`. */
  share?: SseShare | undefined;
  /** Closes the source when it is aborted. */
  signal?: AbortSignal | undefined;
}

/** What a page loads before it listens. */
export interface SseSnapshot {
  /** The position of the state, read before it: the events after it follow. */
  readonly lastEventId: string;
}

/** What a source gives to its `share`. */
export interface SharedSource {
  /** Of the source, without a ticket. */
  readonly url: string;
  /** Makes a request of the source, with fresh credentials. */
  readonly request: SseRequest;
  /** Makes the next attempt at once if the source is waiting. */
  readonly wake: () => void;
  /** Is aborted when the source has ended. */
  readonly signal: AbortSignal;
}

/** Requests the events after an id; without an id, the next ones. */
export type SseRequest = (signal: AbortSignal, lastEventId: string) => Promise<Response>;

/** Answers the requests of a source from a connection that it shares with others. */
export type SseShare = (source: SharedSource) => SseRequest;

type HeaderValues = Readonly<Record<string, string>>;

const isText = (value: unknown): value is string => typeof value === 'string';
const isFunction = (value: unknown) => typeof value === 'function';
const isId = (value: unknown) => isText(value) && !/[\0\r\n]/.test(value);
/** A promise has no own values, either. */
const isPlain = (value: unknown): value is HeaderValues =>
  String(value) === '[object Object]' && Object.values(value as object).every(isText);
const FUNCTION = ['a function', isFunction] as const;

const RULES: Record<keyof ConnectOptions, readonly [what: string, isRight: (value: unknown) => boolean]> = {
  headers: [
    'a function or an object of strings',
    // It throws a TypeError for a name or a value that cannot be sent.
    (value) => isFunction(value) || (isPlain(value) && !!new Headers(value)),
  ],
  ticket: FUNCTION,
  lastEventId: ['a string without line breaks', isId],
  snapshot: FUNCTION,
  fetch: FUNCTION,
  share: FUNCTION,
  signal: ['an AbortSignal', (value) => isFunction((value as Partial<AbortSignal> | null)?.addEventListener)],
};

/** @throws TypeError */
export function check(name: keyof ConnectOptions, value: unknown): void {
  const [what, isRight] = RULES[name];
  if (!isRight(value)) throw new TypeError(`Expected \`${name}\` to be ${what}, got ${value as string}`);
}

/** @throws TypeError naming the first option that is unknown or has a wrong value */
export function checkOptions(options: ConnectOptions): ConnectOptions {
  for (const [name, value] of Object.entries(options)) {
    if (!Object.hasOwn(RULES, name)) {
      throw new TypeError(`Expected one of ${Object.keys(RULES).join()}, got ${name}`);
    }
    if (value !== undefined) check(name as keyof ConnectOptions, value);
  }
  return options;
}

/** @throws TypeError for anything but an HTTP URL without credentials; it may be relative in a page only */
export function checkUrl(given: string | URL): string {
  // It takes the URLs that `fetch()` takes.
  const { url } = new Request(given);
  if (!url.startsWith('http')) throw new TypeError(`Expected an HTTP URL, got ${url}`);
  return url;
}
