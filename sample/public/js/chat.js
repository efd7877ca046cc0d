import { showBroker } from './broker.js';
import { ChatClient } from './chat-client.js';
import { startCode } from './code.js';
import { byId, element, newId, onSubmit, send } from './dom.js';
import { MessageList } from './message-list.js';
import { addressOf, forgetNodes, otherNodes, receiveMetrics } from './nodes.js';

const POLL_MS = 1_000;
const LABELS = {
  loading: 'Loading',
  idle: 'Ready',
  waiting: 'Waiting for the first token',
  streaming: 'Streaming',
  reconnecting: 'Reconnecting',
  unreachable: 'No node answers. Retrying',
  refused: 'The node has refused the chat',
  paused: 'Paused: the tab is hidden',
};

const own = location.origin;
const id = new URLSearchParams(location.search).get('id') ?? newId();
// The address has the chat, so that a reload and a second tab show it.
history.replaceState(null, '', `?id=${encodeURIComponent(id)}`);

/** All nodes that were ever seen: this one may end, and then tells of no others. */
const seen = new Set([own]);
const client = new ChatClient(id, { nodes: () => [...seen], change: render });
const list = new MessageList(byId('messages'), { ask, hostOf });
let starts;
let isDrawn = true;

/** The hosts of nodes, also after their end, when they have no address. */
const hosts = new Map();

function hostOf(node) {
  const address = addressOf(node);
  if (address) hosts.set(node, new URL(address).host);
  return hosts.get(node) ?? node;
}

/** Once per frame, however many tokens arrive. */
function render() {
  if (!isDrawn) return;
  isDrawn = false;
  requestAnimationFrame(() => {
    isDrawn = true;
    draw();
  });
}

function draw() {
  const { messages, state, node, stream, isBusy } = client;
  const producer = messages.at(-1)?.node;
  byId('state').dataset.state = state;
  byId('state').textContent = LABELS[state];
  byId('no-messages').hidden = messages.length > 0;
  const isBroken = state === 'reconnecting';
  list.show(messages, isBusy, isBroken ? `The connection is broken. Retrying on ${new URL(node).host}` : '');
  byId('produced').textContent = producer ? hostOf(producer) : 'none yet';
  byId('read-from').textContent = node && stream ? new URL(node).host : 'none yet';
  byId('chunks').textContent = stream?.chunks ?? 0;
  byId('position').textContent = stream?.lastEventId || 'none yet';
  byId('resumed').textContent = stream?.resumed === 1 ? 'once' : `${stream?.resumed ?? 0} times`;
  byId('send').disabled = state !== 'idle';
  byId('stop').disabled = !isBusy;
  byId('break').disabled = state !== 'streaming';
  byId('kill').disabled = !isBusy || !producer || !addressOf(producer);
}

function ask(message) {
  const options = {
    tokensPerSecond: byId('speed').valueAsNumber,
    length: byId('length').valueAsNumber,
    fails: byId('fails').checked,
  };
  void client.send(message, options, byId('node').value || own);
}

/** Learns of answers that start, in whatever tab, and of the nodes. */
function listen() {
  starts = new EventSource(`/chat/${encodeURIComponent(id)}/starts`);
  starts.addEventListener('message', ({ data }) => client.noteStart(JSON.parse(data).messageId));
  starts.addEventListener('metrics', ({ data }) => receiveMetrics(JSON.parse(data)));
  // Loaded after that, the page misses no answer.
  starts.addEventListener('sse.open', () => !client.isBusy && client.load());
  starts.addEventListener('sse.reset', () => !client.isBusy && client.load());
  // An `EventSource` does not tell why it has closed.
  starts.addEventListener('error', ({ target }) => target.readyState === EventSource.CLOSED && client.load());
}

/** A hidden tab holds no connection: browsers open only six to each server. */
function followVisibility() {
  starts?.close();
  if (document.hidden) client.pause();
  else listen();
}

function showNodes() {
  forgetNodes();
  const others = otherNodes();
  for (const node of others) seen.add(node);
  const offered = [own, ...others];
  const select = byId('node');
  byId('node-choice').hidden = others.length === 0;
  byId('no-second').hidden = others.length > 0;
  if (offered.join() !== [...select.options].map(({ value }) => value).join()) {
    const { value } = select;
    select.replaceChildren(
      ...offered.map((url) => {
        const option = element('option', '', new URL(url).host);
        option.value = url;
        return option;
      }),
    );
    select.value = offered.includes(value) ? value : own;
  }
  render();
}

onSubmit(byId('ask'), () => {
  ask({ id: newId(), text: byId('text').value });
  byId('text').value = '';
});
byId('text').addEventListener('keydown', (event) => {
  if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  if (!byId('send').disabled) byId('ask').requestSubmit();
});
byId('stop').addEventListener('click', () => client.stop());
byId('break').addEventListener('click', () => client.break());
byId('kill').addEventListener('click', () => {
  const { node } = client.messages.at(-1);
  void send('POST', `${addressOf(node)}/kill`, { node });
});
byId('tab').href = location.search;

startCode();
followVisibility();
document.addEventListener('visibilitychange', followVisibility);
for (;;) {
  if (!document.hidden) await showBroker();
  showNodes();
  await new Promise((resolve) => setTimeout(resolve, POLL_MS));
}
