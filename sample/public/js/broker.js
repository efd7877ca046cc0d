import { byId } from './dom.js';
import { setOwnNode } from './nodes.js';

const TIMEOUT_MS = 3_000;

const TEXTS = {
  up: 'Redis is connected',
  down: 'Redis is unreachable',
  deaf: 'Redis accepts events, but delivers none',
  memory: 'In memory: one node',
  unknown: 'No answer from the node',
};

/** The state of the broker, as this node knows it. */
async function stateOfBroker() {
  try {
    const response = await fetch('/node', { signal: AbortSignal.timeout(TIMEOUT_MS), cache: 'no-store' });
    const { node, broker, state } = await response.json();
    setOwnNode(node);
    return broker === 'memory' ? 'memory' : state;
  } catch {
    return 'unknown';
  }
}

/** Asks the node, not an open connection: connections stay open while Redis is unreachable. */
export async function showBroker() {
  const state = await stateOfBroker();
  const badge = byId('broker');
  if (badge.dataset.state === state) return;
  badge.dataset.state = state;
  badge.textContent = TEXTS[state];
}
