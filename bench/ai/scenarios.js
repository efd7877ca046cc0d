/**
 * The cases of `cases.js`. Each gets two nodes over one Redis, and returns what was observed by the title of its row. The first page asks at
 * the first node.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { modelOutcome, Page } from './page.js';
import { startCut } from './cut.js';

/** 40 tokens/s, as of a slow model. */
const PACE_MS = 24;
const SHORT = { tokens: 200, paceMs: PACE_MS };
let chats = 0;

/** A page that has asked, and has a part of the answer. */
async function ask({ column, nodes: [node] }, { request = SHORT, part = 0.3, ...asked } = {}) {
  const id = `case${chats++}`;
  const page = await Page.open({ column, node: asked.node ?? node, id, request });
  await page.resumed;
  page.send();
  await page.reads(part);
  return { page, id, open: (at) => Page.open({ column, node: at, id, request }) };
}

export async function refreshes(world) {
  const [, other] = world.nodes;
  const { page, open } = await ask(world);
  await page.close();
  const next = await open(other);
  return { 'refresh in the middle, to the other node': await next.outcome() };
}

export async function twoTabs(world) {
  const { page, open } = await ask(world);
  const second = await open(world.nodes[1]);
  const [one, two] = await Promise.all([page.outcome(), second.outcome()]);
  return { 'two tabs on two nodes': one === two ? `both: ${one}` : `${one}; ${two}` };
}

export async function refreshesAtTheEnd(world) {
  const { page, open } = await ask(world, { request: { ...SHORT, tokens: 20 }, part: 1 });
  await page.outcome();
  const next = await open(world.nodes[1]);
  return { 'refresh right after the end': await next.outcome() };
}

export async function stops(world) {
  const [node, other] = world.nodes;
  const { page, id, open } = await ask(world);
  await page.close();
  const second = await open(other);
  await second.reads(0.5);
  const stopping = world.column.stop({ page: second, node: other, id });
  const model = await modelOutcome(node, id, 5_000);
  await stopping;
  return { 'stop on the other node': `${model}; page: ${await second.outcome()}` };
}

export async function fails(world) {
  const { page, open } = await ask(world, { request: { ...SHORT, failsAt: 120 } });
  await page.close();
  const next = await open(world.nodes[1]);
  return { 'the model fails, after a refresh': await next.outcome() };
}

export async function cutsCleanly(world) {
  const proxy = await startCut(world.nodes[0].url, 2_000);
  const { page } = await ask(world, { node: proxy });
  const outcome = await page.outcome();
  proxy.close();
  return { 'a proxy ends the response cleanly after 2 s': outcome };
}

export async function crashes(world) {
  const [node, other] = world.nodes;
  const { page, open } = await ask(world, { request: { ...SHORT, tokens: 400 } });
  const reader = await open(other);
  await reader.reads(0.4);
  node.child.kill('SIGKILL');
  const [asking, reading, soon, late] = await Promise.all([
    page.outcome(),
    reader.outcome(),
    sleep(2_000).then(async () => (await open(other)).outcome(38_000)),
    sleep(20_000).then(async () => (await open(other)).outcome(20_000)),
  ]);
  return {
    'the node is killed: the page that asked, on this node': asking,
    'the node is killed: a page that reads on the other node': reading,
    'refresh 2 s after that': soon,
    'refresh 20 s after that': late,
  };
}

/** SIGTERM, and SIGKILL 30 s later, as Kubernetes does by default. */
async function deploy(node) {
  node.child.kill('SIGTERM');
  const timer = setTimeout(() => node.child.kill('SIGKILL'), 30_000);
  node.child.once('exit', () => clearTimeout(timer));
}

/** @param left seconds that the answer still needs */
const deploys = (left, refreshed) => async (world) => {
  const [node, other] = world.nodes;
  const tokens = Math.round((left + 2) * 40);
  const { page, open } = await ask(world, { request: { ...SHORT, tokens }, part: 2 / (left + 2) });
  let reader = page;
  if (refreshed) {
    await page.close();
    reader = await open(other);
    await reader.reads(2 / (left + 2));
  }
  await deploy(node);
  const where = refreshed ? 'a page on the other node, alone' : 'the page that asked, on this node';
  return { [`deploy, ${left} s before the end: ${where}`]: await reader.outcome() };
};

/** Cases that leave the nodes as they are, and those that need nodes of their own. */
export const SHARED = [refreshes, twoTabs, refreshesAtTheEnd, stops, fails, cutsCleanly];
export const OWN = [crashes, deploys(3, true), deploys(12, true), deploys(12, false)];
