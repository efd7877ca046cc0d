import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { once } from 'node:events';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, it } from '@jest/globals';
import { type Options, transformSync } from '@swc/core';
import type { SseModuleOptions } from 'nestjs-sse-channels';
import { platforms } from './app.js';
import { type NodeOptions, startNode } from './recipe-node.js';
import { snippetsOf } from './recipes.js';
import { randomPrefix } from './redis.js';
import { until } from './until.js';

mkdirSync('node_modules/.cache', { recursive: true });
const dir = mkdtempSync(join('node_modules/.cache', 'recipe-clients-'));
afterAll(() => rmSync(dir, { recursive: true }));

const COMPILER: Options = {
  jsc: {
    target: 'es2022',
    parser: { syntax: 'typescript', decorators: true },
    transform: { legacyDecorator: true, decoratorMetadata: true },
  },
  module: { type: 'commonjs' },
};

/** The client of a page: its JavaScript, as a module of this process. */
export const clientOf = <T>(page: string): Promise<T> =>
  load<T>(`${page}-client`, snippetsOf(page, 'js')[0]!);

/** The TypeScript of a page as `moduleOf()` gives it, with the imports that the page names for Fastify. */
export const moduleForFastify = <T>(page: string): Promise<T> => {
  const code = snippetsOf(page, 'ts')[0]!.replace(/'[^']+'; \/\/ with Fastify: (.*)/, '$1;');
  return load<T>(`${page}-fastify`, code);
};

async function load<T>(name: string, code: string): Promise<T> {
  const file = join(process.cwd(), dir, `${name}.cjs`);
  writeFileSync(file, transformSync(code, COMPILER).code);
  return (await import(file)) as T;
}

const addresses = new Set<() => void>();
afterEach(() => {
  for (const close of addresses) close();
  addresses.clear();
});

/** Two nodes, on Express and on Fastify, behind one address. */
export async function startNodes(...options: Omit<NodeOptions, 'prefix'>[]) {
  const prefix = randomPrefix();
  return behindOneAddress(
    await Promise.all(
      platforms.map(([, platform], n) => startNode(platform, { ...(options[n] ?? options[0]), prefix })),
    ),
  );
}

/** An address that leads to one of the nodes at a time. */
export async function behindOneAddress<T extends { url: string }>(nodes: T[]) {
  const sockets = new Set<Socket>();
  let current = 0;
  const server = createServer((client) => {
    const upstream = connect(Number(new URL(nodes[current]!.url).port), '127.0.0.1');
    for (const [socket, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(socket);
      socket.setNoDelay().on('error', () => undefined);
      socket.on('close', () => sockets.delete(socket) && other.destroy());
      socket.pipe(other);
    }
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const breakAll = () => {
    for (const socket of sockets) socket.destroy();
  };
  const close = () => {
    server.close();
    breakAll();
  };
  addresses.add(close);
  return {
    nodes,
    url: `http://127.0.0.1:${(server.address() as { port: number }).port}`,
    /** New connections lead to this node. */
    lead: (node: number) => void (current = node),
    /** Breaks all connections. The next ones lead to the other node. */
    swap() {
      current = 1 - current;
      breakAll();
    },
    /** Where new connections lead. */
    current: () => nodes[current]!,
    close,
  };
}

type Nodes = Awaited<ReturnType<typeof startNodes>>;
const COUNT = 100;

/** A client of a recipe. It shows in `seen` the numbers of the events, and the types of control events. */
export interface Started {
  nodes: Nodes;
  seen: unknown[];
  /** Reads the position, loads the state, and resolves to the function that ends the subscription once it is open. */
  subscribe: (load: () => unknown) => Promise<() => unknown>;
}

const publish = ({ nodes }: Nodes, n: number) => nodes[1]!.sse.publish({ n }, { channel: 'orders' });
const connections = ({ nodes }: Nodes) => nodes.map(({ sse }) => sse.connections().length);

/** What each recipe for another library holds. */
export function describeRecipe(page: string, start: (sse?: SseModuleOptions) => Promise<Started>) {
  describe(`The recipe ${page}`, () => {
    it('gives each event once and in order through ten broken connections, on two nodes', async () => {
      const { nodes, seen, subscribe } = await start();
      const unsubscribe = await subscribe(() => undefined);
      for (let n = 0; n < COUNT; n++) {
        // Before the first event, in the midst of events, and when none is left.
        if (n % 10 === 0) {
          await until(() => nodes.current().sse.connections().length > 0);
          if (n > 0) await until(() => seen.length > n - n / 10);
          nodes.swap();
        }
        await publish(nodes, n);
      }
      await until(
        () => seen.length,
        (length) => length >= COUNT,
      );
      expect(seen).toEqual(Array.from({ length: COUNT }, (_, n) => n));
      await unsubscribe();
      await until(
        () => connections(nodes),
        (counts) => counts.every((count) => count === 0),
      );
      nodes.close();
    });

    it('gives what is published while the state is loaded', async () => {
      const { nodes, seen, subscribe } = await start();
      const unsubscribe = await subscribe(() => publish(nodes, 1));
      await until(() => seen.length > 0);
      expect(seen).toEqual([1]);
      await unsubscribe();
      nodes.close();
    });

    it('tells the client that events are missing, and goes on', async () => {
      const { nodes, seen, subscribe } = await start({ history: { maxReplayEvents: 1 } });
      const unsubscribe = await subscribe(async () => {
        await publish(nodes, 1);
        await publish(nodes, 2);
      });
      await until(() => seen.length > 0);
      await publish(nodes, 3);
      await until(() => seen.length > 1);
      expect(seen).toEqual(['sse.reset', 3]);
      await unsubscribe();
      nodes.close();
    });

    it('resumes on another node when its node shuts down', async () => {
      const { nodes, seen, subscribe } = await start();
      const unsubscribe = await subscribe(() => undefined);
      await until(() => connections(nodes)[0]! > 0);
      nodes.lead(1);
      await nodes.nodes[0]!.app.close();
      await publish(nodes, 1);
      await until(() => seen.length > 0);
      expect(seen).toEqual([1]);
      await unsubscribe();
      nodes.close();
    });
  });
}
