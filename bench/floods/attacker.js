/** An attacker: each method floods a server for a while, and returns the number of attempts. */
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { answer } from '../fanout/ipc.js';

const sockets = new Set();

function open(port, text) {
  const socket = connect(port, '127.0.0.1');
  sockets.add(socket);
  socket.on('error', () => undefined);
  socket.on('close', () => sockets.delete(socket));
  socket.write(text);
  return socket;
}

const get = (path, headers = '') => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n${headers}\r\n`;
/** Resolves with the first bytes, or when the socket closes. */
const answered = (socket) =>
  new Promise((resolve) => {
    socket.once('data', resolve);
    socket.once('close', resolve);
  });

/** Repeats the work in parallel, the given number of times at once. */
async function flood({ ms, loops }, work) {
  const end = performance.now() + ms;
  let done = 0;
  const loop = async () => {
    while (performance.now() < end) {
      await work();
      done++;
    }
  };
  await Promise.all(Array.from({ length: loops }, loop));
  return done;
}

const FLOODS = {
  nobody: ({ ms }) => sleep(ms, 0),

  /** Keeps connections open, and retries at once after a refusal. */
  connections: ({ port, ms }) =>
    flood({ ms, loops: 100 }, () => answered(open(port, get('/one?shared=all')))),

  /** Requests the whole history, and disconnects. */
  resumes: ({ port, ms, id }) =>
    flood({ ms, loops: 100 }, async () => {
      const socket = open(port, get('/one?shared=all', `Last-Event-ID: ${id}\r\n`));
      await answered(socket);
      socket.destroy();
    }),

  /** Requests a channel with an authorizer, and disconnects before its decision. */
  authorizations: ({ port, ms }) =>
    flood({ ms, loops: 300 }, async () => {
      const socket = open(port, get('/asked'));
      await sleep(50);
      socket.destroy();
    }),

  /** Requests whose headers never end. */
  slowloris: ({ port, ms }) =>
    flood({ ms, loops: 2_000 }, async () => {
      const socket = open(port, 'GET /one?shared=all HTTP/1.1\r\nHost: localhost\r\n');
      for (let n = 0; n < 5; n++) {
        await sleep(ms / 5);
        socket.write('X');
      }
    }),

  /** Connections that the client never reads. */
  silence: async ({ port, ms, count = 300 }) => {
    for (let n = 0; n < count; n++) open(port, get('/one?shared=all')).pause();
    await sleep(ms);
    return count;
  },
};

answer({
  async flood(name, settings) {
    const done = await FLOODS[name](settings);
    for (const socket of sockets) socket.destroy();
    return done;
  },
});
