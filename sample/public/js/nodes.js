import { byId, element } from './dom.js';

/** A node that publishes no metrics for so long has ended. */
const FORGET_MS = 3_000;
const SECONDS = 60;

/** The newest metrics of each node, and when they came. */
const nodes = new Map();
/** Events per second of all nodes, in the last minute. */
const rates = Array.from({ length: SECONDS }, () => 0);
let delivered = 0;
let ownNode;

/** The address of a node on this host. */
const urlOf = ({ port }) => new URL(`${location.protocol}//${location.hostname}:${port}`).origin;

/** Takes an event of the channel `stats`. Both clients get each of them. */
export function receiveMetrics(metrics) {
  if (nodes.get(metrics.node)?.at >= metrics.at) return;
  nodes.set(metrics.node, { ...metrics, receivedAt: Date.now() });
  delivered += metrics.events;
}

export function setOwnNode(node) {
  ownNode = node;
}

/** Whether the page comes from its node itself. Behind a proxy, the addresses of nodes are not known. */
function isDirect() {
  const own = nodes.get(ownNode);
  return own !== undefined && urlOf(own) === location.origin;
}

/** The addresses of the other nodes. */
export function otherNodes() {
  if (!isDirect()) return [];
  return [...nodes.keys()].filter((node) => node !== ownNode).map(addressOf);
}

/** The address of a node by its name, if it is known. */
export function addressOf(node) {
  if (node === ownNode) return location.origin;
  return isDirect() && nodes.has(node) ? urlOf(nodes.get(node)) : undefined;
}

/** Forgets nodes that have ended. */
export function forgetNodes() {
  for (const [node, { receivedAt }] of nodes) {
    if (receivedAt < Date.now() - FORGET_MS) nodes.delete(node);
  }
}

/** Shows the last second. */
export function showNodes() {
  forgetNodes();
  const all = [...nodes.values()].toSorted((a, b) => a.port - b.port);
  const sum = (name) => all.reduce((total, metrics) => total + metrics[name], 0);
  rates.shift();
  rates.push(delivered);
  delivered = 0;
  const peak = Math.max(...rates);
  const line = rates.map((rate, x) => `${x},${1 - rate / Math.max(peak, 1)}`).join(' ');
  byId('chart').querySelector('polyline').setAttribute('points', line);
  byId('chart')
    .querySelector('polygon')
    .setAttribute('points', `0,1 ${line} ${SECONDS - 1},1`);
  // While Redis is unreachable, no metrics arrive.
  byId('connections').textContent = all.length > 0 ? sum('connections') : '–';
  byId('channels').textContent = all.length > 0 ? sum('channels') : '–';
  byId('rate').textContent = rates.at(-1);
  byId('peak').textContent = peak;
  byId('nodes').replaceChildren(
    ...all.map((metrics) => {
      const item = element('li', '', new URL(urlOf(metrics)).host);
      item.append(
        element(
          'span',
          '',
          `${metrics.connections} ${metrics.connections === 1 ? 'connection' : 'connections'}`,
        ),
      );
      return item;
    }),
  );
}
