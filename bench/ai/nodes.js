/** Starts nodes and proxies, and ends them with the program. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';

export const NAMES = { sdk: 'the SDK alone', resumable: 'resumable-stream', sse: 'this module' };

const children = new Set();
process.on('exit', () => children.forEach((child) => child.kill('SIGKILL')));

async function start(args) {
  const child = spawn(process.execPath, args, {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, NODE_ENV: 'production' },
  });
  children.add(child);
  child.once('exit', () => children.delete(child));
  const [port] = await Promise.race([once(child.stdout, 'data'), once(child, 'exit').then(() => [])]);
  if (!port) throw new Error(`Expected a port of ${args.join(' ')}`);
  return { child, port: Number(port) };
}

/** @returns the node, as a process of its own */
export async function startNode(server, redis, database) {
  const args = ['--expose-gc', 'bench/ai/node.js', server, redis, database];
  const { child, port } = await start(args);
  const url = `http://127.0.0.1:${port}`;
  return {
    url,
    child,
    usage: async () => (await fetch(`${url}/node/usage`)).json(),
    release: async () => (await fetch(`${url}/node/release`, { method: 'POST' })).json(),
    model: async (id) => (await fetch(`${url}/node/model/${id}`)).json(),
  };
}

/** @returns the URL of a Redis that is a round trip away */
export async function startDelay(redis, roundTripMs) {
  const { port } = await start(['bench/delay.proxy.js', new URL(redis).port, `${roundTripMs}`]);
  return `redis://127.0.0.1:${port}/0`;
}

export function stopAll() {
  for (const child of children) child.kill('SIGKILL');
}
