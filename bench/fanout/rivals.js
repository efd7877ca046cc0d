/** The compared servers. Ratios are relative to the first. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';

/** `wire` is the format of events through Redis; `glue` is one shared ioredis subscriber in front of the server; `only` names the scenarios of a server that takes part in few. */
export const RIVALS = {
  'sse-channels-fastify': {
    title: '`@SseChannel`, Fastify',
    file: 'sse-channels',
    options: { adapter: 'fastify' },
    wire: 'sse-channels',
  },
  'sse-channels-express': {
    title: '`@SseChannel`, Express',
    file: 'sse-channels',
    options: { adapter: 'express' },
    wire: 'sse-channels',
  },
  messages: {
    title: '`messages()` under `@Sse`, Fastify',
    file: 'sse-channels',
    options: { adapter: 'fastify' },
    path: '/messages',
    wire: 'sse-channels',
  },
  'nest-fastify': { title: 'Nest’s `@Sse`, Fastify', file: 'nest', options: { adapter: 'fastify' } },
  'nest-express': { title: 'Nest’s `@Sse`, Express', file: 'nest', options: { adapter: 'express' } },
  'better-sse': { title: 'better-sse', file: 'better-sse' },
  transmit: { title: '@boringnode/transmit', file: 'transmit', wire: 'transmit' },
  'fastify-sse': { title: '@fastify/sse', file: 'fastify-sse' },
  write: { title: 'floor: `res.write`, one Buffer', file: 'node-http', options: { mode: 'write' } },
  socket: { title: 'floor: pre-chunked, on the socket', file: 'node-http', options: { mode: 'socket' } },
  'route-fastify': {
    title: 'floor: Nest’s `@Get`, Fastify',
    file: 'nest',
    options: { adapter: 'fastify' },
    path: '/taken',
    only: ['accept'],
  },
  'route-express': {
    title: 'floor: Nest’s `@Get`, Express',
    file: 'nest',
    options: { adapter: 'express' },
    path: '/taken',
    only: ['accept'],
  },
  nchan: { title: 'nchan (nginx, C)', file: 'nchan', publishes: true },
};

export const PROJECT = Object.keys(RIVALS)[0];

/** Why a rival cannot take part here; undefined if it can. */
export function absence(name) {
  if (name !== 'nchan') return undefined;
  const { status, stderr } = spawnSync('nginx', ['-V'], { encoding: 'utf8' });
  const modules = /--modules-path=(\S+)/.exec(stderr)?.[1];
  if (status === 0 && existsSync(`${modules}/ngx_nchan_module.so`)) return undefined;
  return 'not installed here (Debian: nginx libnginx-mod-nchan)';
}
