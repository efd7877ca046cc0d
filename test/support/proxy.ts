import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { Replies } from './resp.js';

/** What a server pushes to its subscribers. */
const MESSAGE = Buffer.from('>3\r\n$7\r\nmessage\r\n');

/** A TCP proxy in front of a redis-server, for what networks do. */
export class Proxy {
  /** Closes new connections at once. */
  refuse = false;
  /** Swallows what the server answers. */
  dropDown = false;
  /** Swallows what clients send. */
  dropUp = false;
  /** Holds back what the server sends. */
  holdDown = false;
  /** Holds back what the server sends on connections that have subscribed. */
  holdSubscriber = false;
  /** Lets every byte from the server arrive on its own. */
  trickle = false;
  /** Delays what the server sends, in ms. */
  latencyMs = 0;
  /** Asked for each message to a subscriber whether it is swallowed; everything else arrives. */
  dropMessage: (() => boolean) | undefined;
  /** Says something else than the server does. */
  rewrite: (chunk: Buffer) => Buffer = (chunk) => chunk;
  /** Cuts connections that subscribe, before they get an answer. */
  cutSubscribe = false;
  /** Sees what clients send, before the server does. */
  onUp: (chunk: Buffer) => void = () => undefined;
  readonly #sockets = new Set<Socket>();
  readonly #upstreams = new Set<Socket>();

  private constructor(
    private readonly server: Server,
    /** The port that new connections lead to. */
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
          if (MESSAGE.equals(bytes.subarray(0, MESSAGE.length)) && this.dropMessage?.()) continue;
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

  /** Reads nothing more from the server, on the connections of now, whose buffers fill up. */
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
