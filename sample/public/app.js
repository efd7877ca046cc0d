'use strict';

const MAX_SHOWN = 200;
const byId = (id) => document.getElementById(id);
let source;
let received = 0;

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
}

function receive(event, kind) {
  byId('count').textContent = String(++received);
  show(event, kind);
}

function showState() {
  const state = ['connecting', 'open', 'closed'][source ? source.readyState : 2];
  byId('connection').dataset.state = state;
  byId('state').textContent = state;
}

function listen() {
  source?.close();
  const query = new URLSearchParams(
    byId('channel')
      .value.split(/[\s,]+/)
      .filter(Boolean)
      .map((channel) => ['channel', channel]),
  );
  const url = `${byId('route').value}?${query}`;
  byId('url').textContent = `/${url}`;
  byId('last-event-id').textContent = 'none yet';
  source = new EventSource(url);
  source.onopen = showState;
  source.onerror = showState;
  source.onmessage = (event) => receive(event);
  source.addEventListener('cool', (event) => receive(event, 'typed'));
  source.addEventListener('sse.open', (event) => show(event, 'control'));
  source.addEventListener('sse.reset', (event) => show(event, 'control'));
  showState();
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

async function publish() {
  const answer = byId('answer');
  answer.className = '';
  answer.textContent = 'Publishing…';
  try {
    const response = await fetch('publish', {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify(publication()),
    });
    const { id, message } = await response.json();
    answer.className = response.ok ? '' : 'bad';
    answer.textContent = response.ok ? `Published as ${id}` : `${response.status}: ${message}`;
  } catch (error) {
    answer.className = 'bad';
    answer.textContent = `The server cannot be reached: ${error.message}`;
  }
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
    byId('to').value =
      byId('channel')
        .value.split(/[\s,]+/)
        .find(Boolean) ?? '';
    listen();
  });
  listen();
} else {
  byId('unsupported').hidden = false;
}
