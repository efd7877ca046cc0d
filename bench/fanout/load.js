/** The clients: one process, a plain socket each, and a request made by hand. */
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { answer, notify } from './ipc.js';
import { pathOf } from './plan.js';
import { Position, Reader } from './reader.js';

/** Connections that are being opened at a time: below the backlog of every server. */
const OPENING = 64;
/** How long nothing may come before what is missing is taken for lost. */
const PATIENCE_MS = 10_000;
/** Late enough for what comes too often. */
const GRACE_MS = 200;

// One for all: what is in it is read before the next socket gets it.
const buffer = Buffer.alloc(65_536);
const reader = new Reader();
const clients = [];
let [mark, step, closed] = [Infinity, 0, 0];

function open(port, path) {
  return new Promise((resolve, reject) => {
    const position = new Position();
    const callback = (length) => {
      if (client.stalled) return client.discards;
      reader.take(position, buffer, length);
      if (!position.isOpen) return true;
      resolve();
      for (; reader.advanced >= mark; mark += step) notify(reader.advanced);
      return true;
    };
    const socket = connect({ port, host: '127.0.0.1', onread: { buffer, callback } });
    const client = { socket, position, stalled: false, discards: false, ended: false };
    clients.push(client);
    socket.on('error', () => undefined);
    socket.on('close', () => {
      client.ended = true;
      if (!client.stalled) closed++;
      reject(new Error(`The server has closed a connection: ${position.carry ?? ''}`));
    });
    socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n`);
  });
}

const reading = () => clients.filter(({ stalled }) => !stalled);

const methods = {
  async open({ port, path = '', plan, clients: count }) {
    let next = 0;
    const lane = async () => {
      while (next < count) await open(port, `${path}${pathOf(plan, next++)}`);
    };
    await Promise.all(Array.from({ length: OPENING }, lane));
  },

  async close() {
    for (const { socket } of clients) socket.destroy();
    while (clients.some(({ ended }) => !ended)) await sleep(10);
    clients.length = closed = 0;
  },

  /** Everybody starts to count again; the runner is told after each `progress` deliveries. */
  expect({ progress, timed }) {
    reader.reset(timed);
    for (const { position } of clients) position.reset();
    mark = step = progress;
    closed = 0;
  },

  /** Whether everybody has got something, from each of its channels: then their subscriptions are live. */
  isLive: ([own, shared]) =>
    clients.every(({ position }) => (own === 0 || position.own > 0) && (shared === 0 || position.shared > 0)),

  /** Waits until everybody has got everything, or nothing comes any more. */
  async drained([own, shared]) {
    const total = (own + shared) * reading().length;
    for (let [before, since] = [-1, performance.now()]; reader.advanced < total; await sleep(1)) {
      if (reader.advanced > before) [before, since] = [reader.advanced, performance.now()];
      else if (performance.now() - since > PATIENCE_MS) break;
    }
  },

  async faults([own, shared]) {
    await sleep(GRACE_MS);
    const lost = reading()
      .map(({ position }) => own - position.own + shared - position.shared + (position.missing?.size ?? 0))
      .reduce((sum, count) => sum + count, 0);
    return { lost, repeated: reader.repeated, disordered: reader.disordered, closed };
  },

  latencies: () => ({ p50: reader.quantile(0.5), p99: reader.quantile(0.99) }),

  /** The first of them stop reading. */
  stall(count) {
    for (const client of clients.slice(0, count)) {
      client.stalled = true;
      client.socket.pause();
    }
  },

  /** They read on, whatever it is. @returns how many of them the server has cut */
  async cut() {
    const stalled = clients.filter((client) => client.stalled);
    for (const client of stalled) {
      client.discards = true;
      client.socket.resume();
    }
    await sleep(2_000);
    return stalled.filter(({ ended }) => ended).length;
  },

  cpu: () => process.cpuUsage(),
};

answer(methods);
