/** Publishes through Redis, outside of the servers, in the format of each server. */
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { Pace } from './pace.js';

// Without comments, as the module sends it.
const script = readFileSync('src/broker/redis/publish.lua', 'utf8').replaceAll(/^\s*(--.*)?\n/gm, '');
const nonce = randomUUID().slice(0, 8);
let count = 0;

/** A command in the Redis protocol. Written by hand, because the queue and promises of a client would cost more than some servers. */
const encode = (words) => words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join('');

/** Calls `make` once for each channel. */
function perChannel(make) {
  const made = new Map();
  return (channel) => {
    if (!made.has(channel)) made.set(channel, make(channel));
    return made.get(channel);
  };
}

const WIRES = {
  glue() {
    const beginning = perChannel((channel) => `*3\r\n${encode(['publish', `bench:${channel}`])}`);
    return ({ channel, data }) => beginning(channel) + encode([JSON.stringify(data)]);
  },

  transmit() {
    const beginning = `*3\r\n${encode(['publish', 'transmit::broadcast'])}`;
    return ({ channel, data: payload }) => {
      const message = { payload: { type: 'broadcast', channel, payload }, busId: 'bench' };
      return beginning + encode([JSON.stringify(message)]);
    };
  },

  // With history, as in `docs/wire-format.md`.
  'sse-channels'(hash) {
    const beginning = perChannel((channel) => {
      const keys = ['history', 'meta', 'ids', 'ids:old'].map((name) => `sse:{${channel}}:${name}`);
      return `*14\r\n${encode(['evalsha', hash, '4', ...keys, `sse:${channel}`])}`;
    });
    const end = encode(['5', '', '']);
    return ({ channel, data }) => {
      const message = `{"data":${JSON.stringify(data)},"event":null,"retry":null}`;
      return beginning(channel) + encode([message, '', `${nonce}${count++}`]) + end;
    };
  },
};

const [MULTI, EXEC] = ['multi', 'exec'].map((command) => `*1\r\n${encode([command])}`);

export async function redisPublisher({ url, admin }, wire = 'glue') {
  const hash = await admin.script('LOAD', script);
  const command = WIRES[wire](hash);
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  await once(socket, 'connect');
  let failure;
  let rest = '';
  socket.setEncoding('latin1').on('data', (replies) => {
    const lines = (rest + replies).split('\r\n');
    rest = lines.pop();
    const error = lines.find((line) => line.startsWith('-'));
    if (error) failure ??= new Error(error.slice(1));
  });
  socket.on('error', (error) => (failure ??= error));
  const pace = new Pace((events) => {
    if (failure) throw failure;
    // A transaction sends all events of a turn to the subscribers together. The next one does not wait for the reply, so that
    // the server is the bottleneck, not the publisher.
    socket.write(MULTI + events.map(command).join('') + EXEC);
  });
  return {
    run: (plan) => pace.run(plan),
    confirm: (deliveries) => pace.confirm(deliveries),
    close: () => socket.destroy(),
  };
}
