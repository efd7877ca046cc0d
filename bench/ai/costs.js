/** What an answer costs Redis and its node, without and with a reader that resumes on another node. */
import { setTimeout as sleep } from 'node:timers/promises';
import { median, say } from '../redis.js';
import { ask, resume } from './clients.js';
import { NAMES, startNode } from './nodes.js';

const [ROUNDS, ANSWERS] = [3, 10];
const MODEL = { tokens: 2_000, paceMs: 4 };
/** When the second reader comes. */
const RESUME_MS = 4_000;

/** Starts answers, spread over one second, so that their tokens are not in step. */
async function answer([node, other], withReader) {
  const running = [];
  for (let n = 0; n < ANSWERS; n++) {
    const { id, done } = ask(node, MODEL);
    running.push(done);
    if (withReader) running.push(sleep(RESUME_MS).then(() => resume(other, id, MODEL.tokens)));
    await sleep(1_000 / ANSWERS);
  }
  await Promise.all(running);
}

/** @returns calls for each answer: those of clients, and those that scripts make */
async function countCalls(redis, work) {
  const monitor = await redis.admin.duplicate().monitor();
  const calls = { client: 0, script: 0 };
  monitor.on('monitor', (_time, [name], source) => {
    // `startRedis()` asks for its metrics itself.
    if (name.toLowerCase() !== 'info') calls[source === 'lua' ? 'script' : 'client']++;
  });
  await work();
  monitor.disconnect();
  return { client: calls.client / ANSWERS, script: calls.script / ANSWERS };
}

async function costOf(redis, nodes, withReader) {
  const idle = await redis.cpu();
  await sleep(1_000);
  const [from, own, start] = [await redis.cpu(), await nodes[0].usage(), performance.now()];
  await answer(nodes, withReader);
  const seconds = (performance.now() - start) / 1_000;
  const used = (await redis.cpu()) - from - (from - idle) * seconds;
  const { cpu } = await nodes[0].usage();
  return { redis: (used * 1e3) / ANSWERS, node: ((cpu - own.cpu) * 1e3) / ANSWERS, seconds };
}

const cellOf = (runs, key) => {
  const { median: middle, min, max } = median(runs.map((run) => run[key]));
  return `${middle.toFixed(1)} (${min.toFixed(1)}–${max.toFixed(1)})`;
};

export async function measureCosts({ redises, database }) {
  const ways = [];
  for (const [server, redis] of Object.entries(redises)) {
    const nodes = [];
    for (let n = 0; n < 2; n++) nodes.push(await startNode(server, redis.url, database));
    for (const withReader of [false, true]) ways.push({ server, redis, nodes, withReader, runs: [] });
  }
  // The calls are counted in the warm-up, as the counting costs Redis time.
  for (const withReader of [false, true]) {
    const counted = ways.filter((way) => way.withReader === withReader);
    const count = async (way) => {
      way.calls = await countCalls(way.redis, () => answer(way.nodes, withReader));
    };
    await Promise.all(counted.map(count));
  }
  for (let round = 0; round < ROUNDS; round++) {
    // Each has a Redis and nodes of its own, and the machine is as busy for both.
    for (const withReader of [false, true]) {
      const measured = ways.filter((way) => way.withReader === withReader);
      const measure = async ({ redis, nodes, runs }) => runs.push(await costOf(redis, nodes, withReader));
      await Promise.all(measured.map(measure));
    }
  }
  const { tokens } = MODEL;
  const seconds = ways.flatMap(({ runs }) => runs.map((run) => run.seconds));
  const pace = (tokens / median(seconds).median).toFixed(0);
  say(`\nFor one answer of ${tokens} tokens, about ${pace} a second, ${ANSWERS} answers at once\n`);
  say(
    '| | reader on another node | calls of clients | calls of scripts | CPU of Redis, ms | CPU of the producer’s node, ms |\n| --- | --- | ---: | ---: | ---: | ---: |',
  );
  for (const { server, withReader, calls, runs } of ways) {
    const counts = [calls.client, calls.script].map((count) => count.toFixed(0)).join(' | ');
    const reader = withReader ? `after ${RESUME_MS / 1_000} s` : 'none';
    say(`| ${NAMES[server]} | ${reader} | ${counts} | ${cellOf(runs, 'redis')} | ${cellOf(runs, 'node')} |`);
  }
  for (const { nodes } of ways) for (const { child } of nodes) child.kill('SIGKILL');
}
