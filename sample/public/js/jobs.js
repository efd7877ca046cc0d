import { byId, describe, fill, newId, onSubmit, send } from './dom.js';
import { JobClient } from './job-client.js';
import { addressOf } from './nodes.js';

const own = location.origin;
/** Another node, as long as one is known. */
let other;
/** The id of the job, and the name of the node that runs it. */
let job = '';
let producer;

const client = (id) => {
  const root = byId(id);
  root.append(byId('job-client').content.cloneNode(true));
  root.querySelector('h3').append(root.dataset.name);
  return new JobClient(root, { step: setProducer, change: show });
};
/** One for each of two nodes: a second one of the same node would need a connection of its own. */
export const jobClients = [];

const pathOf = (action = '') => `/jobs/${encodeURIComponent(job)}${action}`;

/** Each request of this panel is shown with its answer. */
async function request(node, path, body) {
  const response = await send('POST', node + path, body);
  byId('job-answer').classList.toggle('bad', !response.ok);
  byId('job-answer').textContent = `POST ${path} on ${new URL(node).host} → ${describe(response)}`;
  return response;
}

async function start(node) {
  const id = newId();
  const path = `/jobs/${id}`;
  const { ok, body } = await request(node, path, { paceMs: Number(byId('pace').value) });
  if (!ok) return;
  // The address has the job, so that a reload and a second tab show it.
  history.replaceState(null, '', `?job=${id}`);
  setProducer(body.node);
  watch(id);
}

/** Any node stops the job. This one may have been killed. */
async function stop() {
  const nodes = jobClients.map(({ node }) => node).filter(Boolean);
  for (const node of nodes) {
    const { ok, status, body } = await request(node, pathOf('/stop'), {});
    if (ok) byId('job-answer').textContent += `: ${body.result}`;
    if (status !== 0) return;
  }
}

const kill = () => request(addressOf(producer), '/kill', { node: producer });

function watch(id) {
  job = id;
  const [first, second] = jobClients;
  first.watch(own, id);
  if (other) second.watch(other, id);
  else second.leave();
  byId('job-tab').href = `?job=${encodeURIComponent(id)}`;
  show();
}

function setProducer(node) {
  if (producer === node) return;
  producer = node;
  byId('job-node').textContent = node;
  show();
}

function show() {
  const isLive = jobClients.some((one) => one.isLive) && !jobClients.some(({ end }) => end);
  const address = producer && addressOf(producer);
  byId('job-id').textContent = job || 'none yet';
  // After its end, a node has no address.
  if (address) byId('job-node').textContent = new URL(address).host;
  byId('job-tab').hidden = job === '';
  byId('stop').disabled = !isLive;
  byId('kill').disabled = !isLive || !address;
}

/** @param nodes the addresses of the other nodes: the second client reads the job on the first one that is found */
export function showJobNodes(nodes) {
  const [, second] = jobClients;
  other = nodes[0];
  const button = byId('start-other');
  button.hidden = other === undefined;
  byId('start-own').textContent = other ? `Start on ${new URL(own).host}` : 'Start';
  if (other) button.textContent = `Start on ${new URL(other).host}`;
  if (other && job && second.node === undefined) second.watch(other, job);
  second.root.hidden = other === undefined && second.node === undefined;
  byId('no-second').hidden = !second.root.hidden;
  show();
}

export async function startJobs() {
  await fill(byId('jobs'), 'jobs.html');
  jobClients.push(client('job-first'), client('job-second'));
  onSubmit(byId('job'), (button) => start(button === byId('start-other') ? other : own));
  byId('stop').addEventListener('click', stop);
  byId('kill').addEventListener('click', kill);
  const id = new URLSearchParams(location.search).get('job');
  if (id) watch(id);
  else show();
}
