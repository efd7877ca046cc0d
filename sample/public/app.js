'use strict';

const MAX_SHOWN = 200;
/** A process that says nothing for so long is gone. */
const FORGET_MS = 3_000;
const byId = (id) => document.getElementById(id);
let source;
let received = 0;
/** Data of what was published while this page was away, and has not come yet. */
const missed = new Set();

/** One event, in the list: its type, its id, when it came, and its data. Text only: data is not to be trusted. */
function show(event, kind) {
  const item = document.createElement('li');
  if (kind) item.className = kind;
  const add = (tag, className, text) => {
    const element = document.createElement(tag);
    element.className = className;
    element.textContent = text;
    item.append(element);
  };
  add('span', 'type', event.type);
  add('span', 'event-id', event.lastEventId);
  add('time', '', new Date().toLocaleTimeString());
  add('pre', 'data', event.data);
  byId('events').prepend(item);
  while (byId('events').childElementCount > MAX_SHOWN) byId('events').lastElementChild.remove();
  byId('empty').hidden = true;
  byId('last-event-id').textContent = event.lastEventId || 'none yet';
  byId('drop').disabled = !event.lastEventId;
}

function receive(event, kind) {
  byId('count').textContent = String(++received);
  const wasMissed = missed.delete(event.data);
  show(event, wasMissed ? 'missed' : kind);
  if (wasMissed) byId('dropped').textContent = `Back: ${3 - missed.size} of the 3 missed events have come.`;
}

function showState() {
  const state = ['connecting', 'open', 'closed'][source ? source.readyState : 2];
  byId('connection').dataset.state = state;
  byId('state').textContent = state;
}

const channels = () =>
  byId('channel')
    .value.split(/[\s,]+/)
    .filter(Boolean);

/** Opens the stream; after an event, as `EventSource` itself would with the header when it reconnects. */
function listen(lastEventId) {
  source?.close();
  const query = new URLSearchParams(channels().map((channel) => ['channel', channel]));
  if (lastEventId) query.append('lastEventId', lastEventId);
  const url = `${byId('route').value}?${query}`;
  byId('url').textContent = `/${url}`;
  if (!lastEventId) {
    byId('last-event-id').textContent = 'none yet';
    byId('drop').disabled = true;
  }
  source = new EventSource(url);
  source.onopen = showState;
  source.onerror = showState;
  source.onmessage = (event) => receive(event);
  source.addEventListener('cool', (event) => receive(event, 'typed'));
  source.addEventListener('sse.open', (event) => show(event, 'control'));
  source.addEventListener('sse.reset', (event) => show(event, 'control'));
  showState();
}

async function drop() {
  const lastEventId = byId('last-event-id').textContent;
  byId('drop').disabled = true;
  source.close();
  showState();
  missed.clear();
  byId('dropped').textContent = 'Away: publishing three events…';
  for (const n of [1, 2, 3]) {
    const data = `missed ${n} of 3, published at ${new Date().toISOString()}`;
    missed.add(data);
    await post({ data, channel: channels()[0] });
  }
  listen(lastEventId);
}

/** What the form says: empty fields are left out, and data that is no JSON is text. */
function publication() {
  const fields = Object.fromEntries([...new FormData(byId('publish'))].filter(([, value]) => value !== ''));
  const body = { ...fields, data: fields.data ?? '' };
  if (fields.retry !== undefined) body.retry = Number(fields.retry);
  try {
    body.data = JSON.parse(body.data);
  } catch {
    // It stays the text it is.
  }
  return body;
}

function post(body) {
  const headers = { 'Content-Type': 'application/json' };
  return fetch('publish', { method: 'POST', headers, body: JSON.stringify(body) });
}

async function publish() {
  const answer = byId('answer');
  answer.className = '';
  answer.textContent = 'Publishing…';
  try {
    const response = await post(publication());
    const { id, message } = await response.json();
    answer.className = response.ok ? '' : 'bad';
    answer.textContent = response.ok ? `Published as ${id}` : `${response.status}: ${message}`;
  } catch (error) {
    answer.className = 'bad';
    answer.textContent = `The server cannot be reached: ${error.message}`;
  }
}

/** What each process has said last, and when. */
const nodes = new Map();
/** Events a second, of all processes, of the last minute. */
const rates = Array.from({ length: 60 }, () => 0);
let delivered = 0;
let stats;

/** Hidden pages leave it: a browser has few connections for all pages of a server. */
function followStats() {
  stats?.close();
  if (document.hidden) return;
  stats = new EventSource('channel?channel=stats');
  stats.addEventListener('metrics', ({ data }) => {
    const { node, connections, channels, events } = JSON.parse(data);
    nodes.set(node, { connections, channels, at: Date.now() });
    delivered += events;
  });
}

function showStats() {
  for (const [node, { at }] of nodes) {
    if (at < Date.now() - FORGET_MS) nodes.delete(node);
  }
  const sum = (name) => [...nodes.values()].reduce((total, metrics) => total + metrics[name], 0);
  rates.shift();
  rates.push(delivered);
  delivered = 0;
  const peak = Math.max(...rates);
  const line = rates.map((rate, x) => `${x},${1 - rate / Math.max(peak, 1)}`).join(' ');
  byId('chart').querySelector('polyline').setAttribute('points', line);
  byId('chart').querySelector('polygon').setAttribute('points', `0,1 ${line} 59,1`);
  // Without Redis, nobody says anything.
  byId('connections').textContent = nodes.size > 0 ? sum('connections') : '–';
  byId('channels').textContent = nodes.size > 0 ? sum('channels') : '–';
  byId('rate').textContent = rates.at(-1);
  byId('peak').textContent = peak;
}

function onSubmit(form, action) {
  byId(form).addEventListener('submit', (event) => {
    event.preventDefault();
    void action();
  });
}

onSubmit('publish', publish);
byId('clear').addEventListener('click', () => {
  byId('events').replaceChildren();
  byId('empty').hidden = false;
});

if ('EventSource' in window) {
  onSubmit('listen', () => {
    byId('to').value = channels()[0] ?? '';
    listen();
  });
  byId('drop').addEventListener('click', () => {
    drop().catch((error) => (byId('dropped').textContent = `The server cannot be reached: ${error.message}`));
  });
  listen();
  document.addEventListener('visibilitychange', followStats);
  followStats();
  setInterval(showStats, 1_000);
} else {
  byId('unsupported').hidden = false;
}
