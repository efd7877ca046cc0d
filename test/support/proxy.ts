import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';

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
  /** Sees what clients send, before the server does. */
  onUp: (chunk: Buffer) => void = () => undefined;
  readonly #sockets = new Set<Socket>();

  private constructor(
    private readonly server: Server,
    /** The port that new connections lead to. */
    public target: number,
  ) {
    server.on('connection', (client) => {
      if (this.refuse) return client.destroy();
      const upstream = connect(this.target, '127.0.0.1');
      for (const [socket, other] of [
        [client, upstream],
        [upstream, client],
      ] as const) {
        this.#sockets.add(socket);
        socket.on('error', () => undefined);
        socket.on('close', () => {
          this.#sockets.delete(socket);
          other.destroy();
        });
      }
      let subscribed = false;
      const held: Buffer[] = [];
      const pass = () => {
        if (client.destroyed) return;
        if (this.holdDown || (subscribed && this.holdSubscriber)) setTimeout(pass, 5);
        else for (const chunk of held.splice(0)) client.write(chunk);
      };
      client.on('data', (chunk) => {
        subscribed ||= /\bsubscribe\b/i.test(chunk.toString());
        this.onUp(chunk);
        if (!this.dropUp) upstream.write(chunk);
      });
      upstream.on('data', (chunk) => {
        if (this.dropDown) return;
        held.push(chunk);
        pass();
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

  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  close(): void {
    this.server.close();
    this.cut();
  }
}
