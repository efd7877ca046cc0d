import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { afterEach } from '@jest/globals';

const running = new Set<Relay>();

/** A TCP relay between a client and an application. It records the bytes of both directions, and breaks connections. */
export class Relay {
  /** All bytes from the clients. */
  requests = '';
  /** All bytes to the clients. */
  responses = '';
  /** Ends a response after the chunk with this text, as a proxy may. A broken connection could lose earlier bytes. */
  endAfter: string | undefined;
  readonly #sockets = new Set<Socket>();

  private constructor(
    private readonly server: Server,
    private target: number,
  ) {
    running.add(this);
    server.on('connection', (client) => this.#relay(client));
  }

  /** Starts a relay to the application of this URL; it is closed after the test. */
  static async start(url: string): Promise<Relay> {
    const server = createServer().listen(0, '127.0.0.1');
    const relay = new Relay(server, Number(new URL(url).port));
    await once(server, 'listening');
    return relay;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as { port: number }).port}`;
  }

  /** The requests, each with its headers in lower case. */
  get heads(): string[] {
    return this.requests.split('\r\n\r\n').slice(0, -1);
  }

  /** The reconnection times that clients have received. */
  get retries(): number[] {
    return Array.from(this.responses.matchAll(/^retry: (\d+)$/gm), ([, ms]) => Number(ms));
  }

  /** The number of heartbeats that were sent as separate chunks. */
  get heartbeats(): number {
    return this.responses.match(/\n2\r\n:\n\r(?=\n)/g)?.length ?? 0;
  }

  /** Connects new clients to the application of this URL. */
  moveTo(url: string): void {
    this.target = Number(new URL(url).port);
  }

  /** Breaks all connections. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  close(): void {
    running.delete(this);
    this.server.close();
    this.cut();
  }

  #relay(client: Socket): void {
    const upstream = connect(this.target, '127.0.0.1');
    for (const [socket, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      this.#sockets.add(socket);
      socket.setNoDelay();
      socket.on('error', () => undefined);
      socket.on('close', () => {
        this.#sockets.delete(socket);
        other.destroy();
      });
    }
    client.on('data', (chunk) => {
      this.requests += chunk.toString('latin1');
      upstream.write(chunk);
    });
    upstream.on('data', (chunk) => {
      const text = chunk.toString('latin1');
      const at = this.endAfter === undefined ? -1 : text.indexOf(this.endAfter);
      if (at < 0) {
        this.responses += text;
        client.write(chunk);
        return;
      }
      const part = text.slice(text.indexOf('\r\n') + 2, at + this.endAfter!.length);
      client.end(`${part.length.toString(16)}\r\n${part}\r\n0\r\n\r\n`, 'latin1');
      this.endAfter = undefined;
      upstream.destroy();
    });
    upstream.on('end', () => client.end());
  }
}

afterEach(() => {
  for (const relay of running) relay.close();
});
