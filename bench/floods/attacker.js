/** Who does not mean well: each method floods a server for a while, and says what it has done. */
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
/** The first bytes, or the end. */
const answered = (socket) =>
  new Promise((resolve) => {
    socket.once('data', resolve);
    socket.once('close', resolve);
  });

/** As many lanes as given do the work again and again. */
async function flood({ ms, lanes }, work) {
  const end = performance.now() + ms;
  let done = 0;
  const lane = async () => {
    while (performance.now() < end) {
      await work();
      done++;
    }
  };
  await Promise.all(Array.from({ length: lanes }, lane));
  return done;
}

const FLOODS = {
  nobody: ({ ms }) => sleep(ms, 0),

  /** Keeps what it gets, and comes back at once where it gets nothing. */
  connections: ({ port, ms }) =>
    flood({ ms, lanes: 100 }, () => answered(open(port, get('/one?shared=all')))),

  /** Asks for everything there is, and leaves. */
  resumes: ({ port, ms, id }) =>
    flood({ ms, lanes: 100 }, async () => {
      const socket = open(port, get('/one?shared=all', `Last-Event-ID: ${id}\r\n`));
      await answered(socket);
      socket.destroy();
    }),

  /** Asks for what somebody has to be asked about, and leaves before the answer. */
  authorizations: ({ port, ms }) =>
    flood({ ms, lanes: 300 }, async () => {
      const socket = open(port, get('/asked'));
      await sleep(50);
      socket.destroy();
    }),

  /** Requests that never end. */
  slowloris: ({ port, ms }) =>
    flood({ ms, lanes: 2_000 }, async () => {
      const socket = open(port, 'GET /one?shared=all HTTP/1.1\r\nHost: localhost\r\n');
      for (let n = 0; n < 5; n++) {
        await sleep(ms / 5);
        socket.write('X');
      }
    }),

  /** Streams that nobody reads. */
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
