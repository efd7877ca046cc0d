import { recordReader, showConnections, startAccess } from './access.js';
import { showBroker } from './broker.js';
import { startCode } from './code.js';
import { byId, element } from './dom.js';
import { jobClients, showJobNodes, startJobs } from './jobs.js';
import { otherNodes, receiveMetrics, showNodes } from './nodes.js';
import { Pane } from './pane.js';
import * as publishing from './publish.js';

const SECOND_MS = 1_000;
const POLL_MS = 2_000;
const own = location.origin;

/** Fills the template of a client. */
function createPane(id) {
  const root = byId(id);
  root.append(byId('client').content.cloneNode(true));
  root.querySelector('h2').append(root.dataset.name);
  root.querySelector('h2').id = `${id}-title`;
  return new Pane(root, own, receiveMetrics);
}

/** Lists the nodes. The first one that is found beside this one gets the second client, unless its user has connected it. */
function offerNodes(pane) {
  const select = pane.find('[name=node]');
  const others = otherNodes();
  if (others.length > 0 && !pane.isUsed && !document.hidden) {
    pane.node = others[0];
    pane.subscribe();
  }
  const offered = [...new Set([own, ...others, pane.node])];
  const known = [...select.options].map(({ value }) => value);
  if (offered.join() === known.join()) return;
  select.replaceChildren(
    ...offered.map((url) => {
      const option = element('option', '', new URL(url).host);
      option.value = url;
      return option;
    }),
  );
  select.value = pane.node;
  publishing.showNodes([own, pane.node]);
}

/** The code of a client is that of its route. */
function showRoute(pane) {
  const pre = pane.find('.code pre');
  pre.dataset.from = pane.find('[name=route]').value === 'sse' ? "@Sse('sse')" : "@SseChannel('channel')";
  pane.find('.code').open = false;
}

/** A hidden tab holds no connection: browsers open only six to each server. */
function followVisibility() {
  if (!document.hidden && !first.isUsed) first.subscribe();
  for (const client of [...panes, recordReader, ...jobClients]) {
    if (document.hidden) client.pause();
    else client.resume();
  }
}

const panes = ['client-a', 'client-b'].map(createPane);
const [first, second] = panes;
first.find('[name=node]').append(element('option', '', new URL(own).host));
first.find('[name=node]').disabled = true;
second.find('[name=node]').addEventListener('change', ({ target }) => {
  second.moveTo(target.value);
  publishing.showNodes([own, second.node]);
});
// What is published next, the client shows.
first.find('.subscription').addEventListener('submit', () => {
  byId('publish').elements.channel.value = first.channels[0] ?? '';
});
for (const pane of panes) pane.find('[name=route]').addEventListener('change', () => showRoute(pane));

await startJobs();
startCode();
startAccess();
publishing.startPublishing(() => [own, second.node]);
followVisibility();
document.addEventListener('visibilitychange', followVisibility);

setInterval(() => {
  showNodes();
  offerNodes(second);
  showJobNodes(otherNodes());
}, SECOND_MS);
offerNodes(second);
showJobNodes(otherNodes());

for (;;) {
  if (!document.hidden) await Promise.all([showBroker(), showConnections()]);
  await new Promise((resolve) => setTimeout(resolve, POLL_MS));
}
