import { isEventStream } from './connection.js';
import type { SharedSource, SseRequest, SseShare } from './options.js';
import { createParser, type ParsedEvent } from './parser.js';

/** How long the leader may take to answer, in ms. Then another tab takes its place. */
const ANSWER_MS = 1_000;
/** So many of the last messages are kept: a tab that was so far behind can follow. */
const RECENT = 50;
/** A tab that has so many chunks to read leaves the others, which must not wait for it. */
const UNREAD = 1_000;

/** What the leader sends to the other tabs. They send null, which requests its state. */
interface Message {
  /** Its position; undefined while it has no connection. */
  readonly at?: string;
  /** What moved it from another position to this one, in whole blocks. */
  readonly from?: string;
  readonly text?: string;
}

interface Locks {
  request(name: string, options: object, hold: () => Promise<void>): Promise<void>;
}

/**
 * Shares one connection among the tabs of a browser, as the option `share` of `connect()`: among all sources of an origin with the same name and
 * URL. One tab has the connection, and passes its events on. When it is closed, crashes or is frozen, another one continues after the last
 * event. Each tab gets the events that it would get by a connection of its own, which it has until its position is that of the others.
 *
 * Where there are no Web Locks, as on insecure origins, each tab has its own connection.
 *
 * @param name of what the tabs share. **Name the user in it** (`tabs('orders of ' + user.id)`): what one tab may read reaches all with that name.
 * @throws TypeError for an empty name
 */
export function tabs(name: string): SseShare {
  if (!name || typeof name !== 'string') throw new TypeError(`Expected a name, got ${name}`);
  return (source) => {
    const { locks } = (globalThis.navigator ?? {}) as { locks?: Locks };
    return locks ? shared(`sse ${name} ${source.url}`, source, locks) : source.request;
  };
}

/** A function, as the source is: bundlers shorten the names of local variables. */
function shared(key: string, { request, wake, signal: over }: SharedSource, locks: Locks): SseRequest {
  /** While this tab leads the others, or may. */
  let channel: BroadcastChannel | undefined;
  /** Gives the lock back, or stops waiting for it. */
  let unlock = () => {};
  let isLeader = false;
  /** The last message of the leader; undefined while it has not answered. */
  let leader: Message | undefined;
  /** The last messages, without a gap, and the position after them. */
  let recent: Message[] = [];
  let newest: string | undefined;
  /** Lets the attempt proceed, if it waits for the leader and need not any longer. */
  let proceed: () => unknown = () => {};
  /** Whether the server has accepted this source: each shows its own credentials once. */
  let isAccepted = false;
  /** The response that this tab reads, the signal of its attempt, and its position. */
  let body: ReadableStreamDefaultController<Uint8Array> | undefined;
  let signal = over;
  let position = '';
  /** Ends the connection of this tab; undefined where it has none. */
  let disconnect: (() => void) | undefined;

  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- channels have none
  const post = (message: Message | null) => channel!.postMessage(message);

  const announce = (state: Message, more?: Message) => {
    if (isLeader) post({ ...(leader = state), ...more });
  };

  /** Ends a response. What this tab has got is read before the end. */
  const end = (own = body) => {
    if (own !== body) return;
    body?.close();
    body = undefined;
    disconnect = disconnect?.() as undefined;
    announce({});
  };

  const leave = () => {
    // The others wait for the next leader.
    isLeader = false;
    leader = undefined;
    end();
    unlock();
    channel = channel?.close() as undefined;
    proceed();
  };

  const give = (text: string) => {
    if (!body) return;
    if (body.desiredSize! < -UNREAD) leave();
    else body.enqueue(new TextEncoder().encode(text));
  };

  /** Continues with the events of the leader, if this tab has its position, or had it. */
  const follow = () => {
    const at = leader?.at;
    if (!isAccepted || at === undefined) return false;
    const isNext = (message: Message) => message.from === position && message.at !== position;
    const index = at === position ? RECENT : recent.findIndex(isNext);
    if (index < 0) return false;
    disconnect = disconnect?.() as undefined;
    position = at;
    for (const { text } of recent.slice(index)) give(text!);
    return true;
  };

  const receive = (message: Message | null) => {
    if (!message) return announce(leader!);
    if (isLeader) return;
    const { at, from = at, text } = message;
    const last = leader?.at;
    if (from !== newest) recent = [];
    newest = at;
    if (text) recent = [...recent.slice(1 - RECENT), message];
    leader = message;
    proceed();
    if (disconnect) follow();
    else if (at === undefined) end();
    else if (!body) return last ?? wake();
    else if (from !== position) void connect();
    else if (text) {
      position = at;
      give(text);
    }
  };

  /** Connects this tab, from its position. @returns the response if it is no event stream; the attempt then ends */
  const open = async (): Promise<Response | undefined> => {
    let stop = () => {};
    const mine = (disconnect = () => stop());
    const isOver = () => disconnect !== mine;
    const response = await request(signal, position);
    isAccepted = isEventStream(response);
    if (!isAccepted) {
      // The others may have other credentials.
      leave();
      return response;
    }
    const reader = response.body!.getReader();
    stop = () => void reader.cancel().catch(() => {});
    if (isOver()) stop();
    else announce({ at: position });
    void read(reader, isOver);
    return undefined;
  };

  const read = async (reader: ReadableStreamDefaultReader<Uint8Array>, isOver: () => boolean) => {
    const parser = createParser(position);
    try {
      for (;;) {
        const { done, value } = await reader.read();
        if (isOver()) return;
        if (done) break;
        const text =
          parser.feed(value).map(blockOf).join('') +
          `retry: ${parser.retryMs}\n:heartbeat ${parser.heartbeatMs}\nid: ${parser.lastEventId}\n\n`;
        const from = position;
        position = parser.lastEventId;
        announce({ at: position }, { from, text });
        give(text);
        if (!isLeader) follow();
      }
    } catch {
      // The connection broke.
    }
    if (!isOver()) end();
  };

  /** Connects while the response of this tab goes on. */
  const connect = (own = body) =>
    open().then(
      (refused) => refused && end(own),
      () => end(own),
    );

  const lead = () => {
    isLeader = true;
    if (body && !disconnect) void connect();
    // The others must not take the lock, too.
    else announce(disconnect ? { at: position } : {});
    proceed();
  };

  const lock = (steal: boolean) => {
    unlock();
    const waiting = new AbortController();
    unlock = () => waiting.abort();
    const hold = async () => {
      // A lock that is taken from another tab comes also where this one has left meanwhile.
      if (waiting.signal.aborted) return;
      await new Promise<void>((resolve) => {
        unlock = resolve;
        lead();
      });
    };
    // Where another tab takes it, and in a page without the right to it, such as a sandboxed one.
    const lose = () => waiting.signal.aborted || leave();
    locks.request(key, steal ? { steal } : { signal: waiting.signal }, hold).catch(lose);
  };

  over.addEventListener('abort', leave);
  // A page with a lock would not go to the back/forward cache.
  globalThis.addEventListener?.('pagehide', leave, { signal: over });

  return async (attempt, lastEventId) => {
    signal = attempt;
    position = lastEventId;
    leader = isLeader ? {} : undefined;
    if (!channel) {
      channel = new BroadcastChannel(key);
      channel.addEventListener('message', ({ data }) => receive(data as Message | null));
      lock(false);
    }
    post(null);
    const timer = setTimeout(() => leader ?? lock(true), ANSWER_MS);
    attempt.addEventListener('abort', () => (end(), proceed()));
    await new Promise<void>((resolve) => {
      proceed = () => (!channel || isLeader || leader || attempt.aborted) && resolve();
      proceed();
    });
    clearTimeout(timer);
    attempt.throwIfAborted();
    const stream = new ReadableStream<Uint8Array>({ start: (controller) => void (body = controller) });
    const refused = (!isLeader && follow()) || (await open());
    if (refused instanceof Response) return refused;
    return new Response(stream, { headers: { 'content-type': 'text/event-stream' } });
  };
}

const blockOf = ({ id, type, data }: ParsedEvent) =>
  `id: ${id}\nevent: ${type}\ndata: ${data.replaceAll('\n', '\ndata: ')}\n\n`;
