/** The clients: plain sockets in one process, with hand-written requests. */
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { answer, notify } from './ipc.js';
import { pathOf } from './plan.js';
import { Position, Reader } from './reader.js';

/** The number of connections that open at a time: below the backlog of every server. */
const OPENING = 64;
/** After this time without data, missing events count as lost. */
const PATIENCE_MS = 10_000;
/** Wait this long for repeated events. */
const GRACE_MS = 200;
/** Returns in the next turn of the event loop: while something waits for it, the process does not sleep. */
const turn = promisify(setImmediate);

// One buffer for all sockets: each read is processed before the next one.
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
    const loop = async () => {
      while (next < count) await open(port, `${path}${pathOf(plan, next++)}`);
    };
    await Promise.all(Array.from({ length: OPENING }, loop));
  },

  async close() {
    for (const { socket } of clients) socket.destroy();
    while (clients.some(({ ended }) => !ended)) await sleep(10);
    clients.length = closed = 0;
  },

  /** Resets all counts. Notifies the runner after each `progress` deliveries. */
  expect({ progress, timed }) {
    reader.reset(timed);
    for (const { position } of clients) position.reset();
    mark = step = progress;
    closed = 0;
  },

  /** Whether each client has received an event on each of its channels, so that all subscriptions are live. */
  isLive: ([own, shared]) =>
    clients.every(({ position }) => (own === 0 || position.own > 0) && (shared === 0 || position.shared > 0)),

  /**
   * Waits until all clients have all events, or no more data arrives.
   *
   * @param awake whether the process polls its sockets without a pause
   */
  async drained([own, shared], awake) {
    const total = (own + shared) * reading().length;
    const pause = awake ? turn : () => sleep(1);
    for (let [before, since] = [-1, performance.now()]; reader.advanced < total; await pause()) {
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

  /** The first clients stop reading. */
  stall(count) {
    for (const client of clients.slice(0, count)) {
      client.stalled = true;
      client.socket.pause();
    }
  },

  /** They read again, and ignore the data. @returns how many of them the server disconnected */
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
