import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { Replies } from './resp.js';

/** Messages that a server pushes to its subscribers. */
const MESSAGE = Buffer.from('>3\r\n$7\r\nmessage\r\n');

/** A TCP proxy in front of a redis-server that causes network faults. */
export class Proxy {
  /** Closes new connections at once. */
  refuse = false;
  /** Drops the replies of the server. */
  dropDown = false;
  /** Drops the data of clients. */
  dropUp = false;
  /** Delays the data of the server until it is reset. */
  holdDown = false;
  /** Delays the data of the server on connections that have subscribed. */
  holdSubscriber = false;
  /** Sends each byte of the server separately. */
  trickle = false;
  /** Delays the data of the server, in ms. */
  latencyMs = 0;
  /** Decides for each message to a subscriber whether it is dropped. Other data arrives. */
  dropMessage: ((message: Buffer) => boolean) | undefined;
  /** Changes the data of the server. */
  rewrite: (chunk: Buffer) => Buffer = (chunk) => chunk;
  /** Closes connections that subscribe before they get a reply. */
  cutSubscribe = false;
  /** Gets the data of clients before the server. */
  onUp: (chunk: Buffer) => void = () => undefined;
  readonly #sockets = new Set<Socket>();
  readonly #upstreams = new Set<Socket>();

  private constructor(
    private readonly server: Server,
    /** The target port of new connections. */
    public target: number,
  ) {
    server.on('connection', (client) => {
      if (this.refuse) return client.destroy();
      const upstream = connect(this.target, '127.0.0.1');
      client.setNoDelay();
      this.#upstreams.add(upstream);
      for (const [socket, other] of [
        [client, upstream],
        [upstream, client],
      ] as const) {
        this.#sockets.add(socket);
        socket.on('error', () => undefined);
        socket.on('close', () => {
          this.#sockets.delete(socket);
          this.#upstreams.delete(socket);
          other.destroy();
        });
      }
      let subscribed = false;
      client.on('data', (chunk) => {
        if (/\bsubscribe\b/i.test(chunk.toString())) {
          subscribed = true;
          if (this.cutSubscribe) setTimeout(() => client.destroy(), 20);
        }
        this.onUp(chunk);
        if (!this.dropUp) upstream.write(chunk);
      });
      const held: { bytes: Buffer; due: number }[] = [];
      const pass = () => {
        while (held.length > 0 && !client.destroyed) {
          const wait = held[0]!.due - Date.now();
          if (wait > 0 || this.holdDown || (subscribed && this.holdSubscriber)) {
            return void setTimeout(pass, Math.max(5, wait));
          }
          const { bytes } = held.shift()!;
          if (this.trickle)
            for (let at = 0; at < bytes.length; at++) client.write(bytes.subarray(at, at + 1));
          else client.write(bytes);
        }
      };
      const replies = new Replies();
      upstream.on('data', (chunk) => {
        if (this.dropDown || (subscribed && this.cutSubscribe)) return;
        const arrived = subscribed ? replies.take(chunk) : [this.rewrite(chunk)];
        for (const bytes of arrived) {
          if (MESSAGE.equals(bytes.subarray(0, MESSAGE.length)) && this.dropMessage?.(bytes)) continue;
          held.push({ bytes, due: Date.now() + this.latencyMs });
          if (held.length === 1) pass();
        }
      });
    });
  }

  static async start(target: number, port = 0): Promise<Proxy> {
    const server = createServer().listen(port, '127.0.0.1');
    const proxy = new Proxy(server, target);
    await once(server, 'listening');
    return proxy;
  }

  get url(): string {
    return `redis://127.0.0.1:${(this.server.address() as { port: number }).port}/0`;
  }

  get sockets(): Socket[] {
    return [...this.#sockets];
  }

  /** Stops reading from the server on the current connections, so that their buffers fill up. */
  stall(): void {
    for (const socket of this.#upstreams) socket.pause();
  }

  resume(): void {
    for (const socket of this.#upstreams) socket.resume();
  }

  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  close(): void {
    this.server.close();
    this.cut();
  }
}
