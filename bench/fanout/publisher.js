/** Publishes through Redis, from outside of the servers, in the form that each of them takes. */
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
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

export async function redisPublisher(redis, wire = 'glue') {
  const hash = await redis.script('LOAD', script);
  let failure;
  const pace = new Pace((events) => {
    if (failure) throw failure;
    // A transaction, so that all events of a turn go out to the subscribers together, however they were sent here. The
    // next one does not wait for its answer: a server is to be kept busy, and not its publisher.
    redis
      .multi(events.map((event) => WIRES[wire](event, hash)))
      .exec()
      .then((results) => (failure ??= results.find(([error]) => error)?.[0]))
      .catch((error) => (failure ??= error));
  });
  return { run: (plan) => pace.run(plan), confirm: (deliveries) => pace.confirm(deliveries) };
}
