/** The memory of the producer's node for each live answer, when the model has sent all tokens but not the end. */
import { setTimeout as sleep } from 'node:timers/promises';
import { say } from '../redis.js';
import { ask } from './clients.js';
import { NAMES, startNode } from './nodes.js';

const [WARM_UP, ANSWERS, SOME] = [10, 40, 10];
const MODEL = { tokens: 2_000, paceMs: 0, held: true };

/** Some at a time: a node that is busy for longer than a lease would lose its streams. */
async function hold(node, answers) {
  const running = [];
  for (let n = 0; n < answers; n += SOME) {
    const asked = Array.from({ length: SOME }, () => ask(node, MODEL));
    running.push(...asked.map(({ done }) => done));
    for (const { id } of asked) {
      while ((await node.model(id)).tokens !== MODEL.tokens) await sleep(20);
    }
  }
  return running;
}

async function release(node, running) {
  await node.release();
  await Promise.all(running);
}

async function grownBy(node) {
  await release(node, await hold(node, WARM_UP));
  await sleep(500);
  const before = await node.usage();
  const running = await hold(node, ANSWERS);
  // Until everything is written, and the clients have read it.
  await sleep(1_000);
  const after = await node.usage();
  await release(node, running);
  await sleep(500);
  const ended = await node.usage();
  const perAnswer = (bytes) => bytes / 1_024 / ANSWERS;
  return {
    heap: perAnswer(after.heap - before.heap),
    rss: perAnswer(after.rss - before.rss),
    left: perAnswer(ended.heap - before.heap),
  };
}

export async function measureMemory({ redises, database }) {
  say(
    `\nMemory of the node for each of ${ANSWERS} live answers, at the end of their ${MODEL.tokens} tokens\n`,
  );
  say('| | heap, KiB | RSS, KiB | heap after the end, KiB |\n| --- | ---: | ---: | ---: |');
  for (const server of Object.keys(NAMES)) {
    const node = await startNode(server, redises[server]?.url ?? database, database);
    const { heap, rss, left } = await grownBy(node);
    const cells = [heap, rss, left].map((size) => size.toFixed(0)).join(' | ');
    say(`| ${NAMES[server]} | ${cells} |`);
    node.child.kill('SIGKILL');
  }
}
