import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import type { AnyResponse } from './platform.js';

/** How long a response may wait for those ahead of it on its connection, in ms. */
const WAIT_MS = 2_000;

/** A response that others wait behind. */
interface Ahead {
  /** Whether it has ended. */
  readonly isOver: boolean;
  end(): void;
}

/**
 * HTTP/1.1 answers the requests of a connection in order. A response behind an event stream would wait for ever,
 * and count as a connection: it is refused, and its connection closed. Browsers send no such requests.
 */
export class Pipelining {
  readonly #open = new WeakMap<Socket, Ahead>();
  readonly #waiting = new WeakSet<Socket>();

  /** Whether Node has another request of the connection, which waits for the end of this response. */
  hasQueued(socket: Socket): boolean {
    return (queued.get(socket) ?? 0) > 0;
  }

  /** Resolves to true when the response is the next one on its connection, or to false if it was refused. */
  async isNext(response: AnyResponse): Promise<boolean> {
    const { socket } = response.req;
    if (!isQueued(response) || !(socket instanceof Socket)) return true;
    if (!this.#aheadOf(socket) && !this.#waiting.has(socket)) {
      this.#waiting.add(socket);
      const signal = AbortSignal.timeout(WAIT_MS);
      // Both settle the wait: the response has its turn, or the connection is closed.
      await Promise.race([once(response, 'socket', { signal }), once(socket, 'close', { signal })]).catch(
        () => undefined,
      );
      this.#waiting.delete(socket);
      if (!isQueued(response)) return true;
    }
    response.writeHead(503, { Connection: 'close' }).end();
    this.#aheadOf(socket)?.end();
    return false;
  }

  #aheadOf(socket: Socket): Ahead | undefined {
    const ahead = this.#open.get(socket);
    return ahead?.isOver ? undefined : ahead;
  }

  /** Refuses responses behind this one, until it has ended. */
  begin(response: AnyResponse, ahead: Ahead): void {
    const { socket } = response.req;
    if (response.stream || !(socket instanceof Socket)) return;
    this.#open.set(socket, ahead);
  }

  /** The response does not go through Node any more. */
  end(socket: Socket): void {
    this.#open.delete(socket);
  }
}

/** How many requests of a connection wait. */
const queued = new WeakMap<Socket, number>();

/** HTTP/2 has no such order. */
const isQueued = (response: AnyResponse) => !response.stream && response.socket === null;

/** The same for event streams of other code, such as Nest's: their content type shows them. */
export function refuseQueuedStreams({ socket }: IncomingMessage, response: ServerResponse): void {
  if (!isQueued(response)) return;
  const count = (change: number) => queued.set(socket, (queued.get(socket) ?? 0) + change);
  count(1);
  response.once('socket', () => count(-1));
  // oxlint-disable-next-line typescript/unbound-method -- it is called on the response
  const { writeHead } = response;
  response.writeHead = (...args: unknown[]) => {
    const types = [response.getHeader('content-type'), ...args.flatMap(contentTypesOf)];
    if (isQueued(response) && types.some((type) => /^text\/event-stream/i.test(String(type))))
      socket.destroy();
    return Reflect.apply(writeHead, response, args) as ServerResponse;
  };
}

const contentTypesOf = (headers: unknown) =>
  typeof headers !== 'object' || headers === null
    ? []
    : Object.entries(headers).flatMap(([name, value]) =>
        /^content-type$/i.test(name) ? [value as unknown] : [],
      );
