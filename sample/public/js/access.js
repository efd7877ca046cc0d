import { byId, describe, element, onSubmit, send } from './dom.js';
import { EventList } from './event-list.js';
import { EventStream } from './event-stream.js';

const LABELS = {
  connecting: 'Connecting',
  open: 'Connected',
  waiting: 'Reconnects in',
  closed: 'Not connected',
};

let stream;
let listed = '';

/** Each request of this panel is shown with its answer. */
async function request(method, path, body) {
  const response = await send(method, path, body);
  const answer = byId('access-answer');
  answer.classList.toggle('bad', !response.ok);
  answer.textContent = `${method} ${path} → ${describe(response)}`;
  void showConnections();
  return response;
}

async function login() {
  const user = byId('user').value;
  const { ok } = await request('POST', '/login', { user });
  if (!ok) return;
  await showSession();
  // A new login ends the time for which a disconnected user is refused.
  if (byId('reader').dataset.state === 'waiting') stream.open();
}

async function showSession() {
  const { body } = await send('GET', '/session');
  byId('session').textContent = body?.user ? `Logged in as ${body.user}` : 'Not logged in';
}

async function logout() {
  await request('POST', '/logout');
  await showSession();
}

const record = () => `/records/${encodeURIComponent(byId('record').value)}`;

function showState(state, detail = '') {
  byId('reader').dataset.state = state;
  byId('reader').textContent = state === 'refused' ? detail : `${LABELS[state]} ${detail}`.trim();
  byId('read').textContent = isReading() ? 'Close the channel' : 'Open the channel';
  void showConnections();
}

const isReading = () => !['closed', 'refused'].includes(byId('reader').dataset.state);

function toggleReader() {
  if (isReading()) return stream.close();
  const list = new EventList(byId('record-events'), byId('record-empty'));
  stream = new EventStream(`${record()}/sse`, { state: showState, event: (event) => list.add(event, false) });
  stream.open();
}

/** For a hidden tab. */
export const recordReader = {
  isPaused: false,
  pause() {
    this.isPaused ||= isReading();
    if (isReading()) stream.close();
  },
  resume() {
    if (this.isPaused) stream.open();
    this.isPaused = false;
  },
};

async function disconnect(target) {
  const { ok, body } = await request('POST', '/disconnect', target);
  if (ok) byId('access-answer').textContent += `, ended on this node: ${body.disconnected}`;
}

function row({ id, user, channels, route }) {
  const item = element('li');
  const text = element('span', 'about', user ?? 'no user');
  text.append(element('span', 'hint', `${route ?? ''} ${channels.join(', ')}`));
  const button = element('button', 'quiet', 'Disconnect');
  button.type = 'button';
  button.addEventListener('click', () => disconnect({ connection: id, refuseMs: 0 }));
  item.append(text, button);
  return item;
}

/** The connections of this node. */
export async function showConnections() {
  const { ok, body } = await send('GET', '/connections');
  // An unchanged list keeps the focus on its buttons.
  if (!ok || JSON.stringify(body) === listed) return;
  listed = JSON.stringify(body);
  byId('connection-list').replaceChildren(...body.map(row));
}

export function startAccess() {
  void showSession();
  onSubmit(byId('login'), login);
  byId('logout').addEventListener('click', logout);
  onSubmit(byId('write'), () => request('PUT', record(), { title: byId('title').value }));
  byId('read').addEventListener('click', toggleReader);
  onSubmit(byId('share'), (button) =>
    request(button?.value ?? 'PUT', `${record()}/readers/${encodeURIComponent(byId('other').value)}`),
  );
  onSubmit(byId('disconnect'), () => disconnect({ user: byId('disconnected-user').value }));
}
