/** Publishes through Redis, from outside of the servers, in the form that each of them takes. */
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { Pace } from './pace.js';

// Without comments, as the module sends it.
const script = readFileSync('dist/broker/publish.lua', 'utf8').replaceAll(/^\s*(--.*)?\n/gm, '');
const nonce = randomUUID().slice(0, 8);
let count = 0;

const WIRES = {
  glue: ({ channel, data }) => ['publish', `bench:${channel}`, JSON.stringify(data)],

  transmit: ({ channel, data: payload }) => [
    'publish',
    'transmit::broadcast',
    JSON.stringify({ payload: { type: 'broadcast', channel, payload }, busId: 'bench' }),
  ],

  // With history, as in `docs/wire-format.md`.
  'sse-channels': ({ channel, data }, hash) => {
    const keys = ['history', 'meta', 'ids', 'ids:old'].map((name) => `sse:{${channel}}:${name}`);
    const message = JSON.stringify({ data, event: null, retry: null });
    return ['evalsha', hash, 4, ...keys, `sse:${channel}`, message, '', `${nonce}${count++}`, 5, '', ''];
  },
};

/** As Redis reads it: made by hand, as a client's queue and promise per command would cost more than some servers do. */
const encode = (command) =>
  `*${command.length}\r\n${command.map((word) => `$${Buffer.byteLength(`${word}`)}\r\n${word}\r\n`).join('')}`;

export async function redisPublisher({ url, admin }, wire = 'glue') {
  const hash = await admin.script('LOAD', script);
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  await once(socket, 'connect');
  let failure;
  socket.setEncoding('latin1').on('data', (replies) => {
    const error = /(?:^|\n)-(.*)/.exec(replies);
    if (error) failure ??= new Error(error[1]);
  });
  socket.on('error', (error) => (failure ??= error));
  const pace = new Pace((events) => {
    if (failure) throw failure;
    // A transaction, so that all events of a turn go out to the subscribers together, however they were sent here. The
    // next one does not wait for its answer: a server is to be kept busy, and not its publisher.
    const commands = [['multi'], ...events.map((event) => WIRES[wire](event, hash)), ['exec']];
    socket.write(commands.map(encode).join(''));
  });
  return {
    run: (plan) => pace.run(plan),
    confirm: (deliveries) => pace.confirm(deliveries),
    close: () => socket.destroy(),
  };
}
