/** How long an answer takes until its first token, at distances to Redis. */
import { setTimeout as sleep } from 'node:timers/promises';
import { say } from '../redis.js';
import { ask } from './clients.js';
import { NAMES, startDelay, startNode } from './nodes.js';

/** Answers of each server and model. One starts each 20 ms: so few that no server waits for its CPU. */
const [ANSWERS, INTERVAL_MS, WARM_UP] = [200, 20, 25];
const MODEL = { tokens: 5, paceMs: 5 };
/** A model sends nothing while it thinks. Servers talk to Redis in the meantime. */
const MODELS = [0, 500];

async function startAll({ redises, database }) {
  const servers = [{ server: 'sdk', roundTripMs: 0, node: await startNode('sdk', database, database) }];
  for (const roundTripMs of [0, 50]) {
    for (const [server, redis] of Object.entries(redises)) {
      const node = await startNode(server, await startDelay(redis.url, roundTripMs), database);
      servers.push({ server, roundTripMs, node });
    }
  }
  return servers.flatMap((server) => MODELS.map((firstMs) => ({ ...server, firstMs, times: [] })));
}

/** The servers and models take turns, answer by answer. */
async function run(ways, answers) {
  const running = [];
  for (let n = 0; n < answers; n++) {
    for (const way of ways) {
      const { done } = ask(way.node, { ...MODEL, firstMs: way.firstMs });
      running.push(done.then(({ firstMs }) => way.times.push(firstMs)));
      await sleep(INTERVAL_MS);
    }
  }
  await Promise.all(running);
}

const signed = new Intl.NumberFormat('en', {
  signDisplay: 'exceptZero',
  minimumFractionDigits: 1,
  maximumFractionDigits: 1,
});
const quantile = ({ times }, q) => times.toSorted((a, b) => a - b)[Math.floor(times.length * q)];

export async function measureFirstToken(world) {
  const ways = await startAll(world);
  await run(ways, WARM_UP);
  for (const { times } of ways) times.length = 0;
  await run(ways, ANSWERS);
  say(`Time until the first token, more than with the SDK alone, ms; ${ANSWERS} answers each\n`);
  say('| | round trip to Redis | the model needs | p50 | p99 |\n| --- | ---: | ---: | ---: | ---: |');
  for (const way of ways) {
    const alone = ways.find(({ server, firstMs }) => server === 'sdk' && firstMs === way.firstMs);
    const cells = [0.5, 0.99].map((q) => {
      const own = quantile(way, q);
      return way === alone ? `(${own.toFixed(1)})` : signed.format(own - quantile(alone, q));
    });
    const distance = way === alone ? '' : `${way.roundTripMs} ms`;
    say(`| ${NAMES[way.server]} | ${distance} | ${way.firstMs} ms | ${cells.join(' | ')} |`);
  }
  for (const { node } of ways) node.child.kill('SIGKILL');
}
