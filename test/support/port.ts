import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';

/**
 * A free port below the range that the kernel uses for outgoing connections. One of these could use the port
 * while a server is down, and a client that connects to such a port can even be connected to itself.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(10_000, 32_000);
    const isFree = await new Promise<boolean>((resolve) => {
      const server = createServer().once('error', () => resolve(false));
      server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
    });
    if (isFree) return port;
  }
}
