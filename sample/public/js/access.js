import { byId, describe, element, onSubmit, send } from './dom.js';
import { EventList } from './event-list.js';
import { EventStream } from './event-stream.js';

const LABELS = {
  connecting: 'Connecting',
  open: 'Connected',
  waiting: 'Reconnects:',
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
  byId('reader').textContent =
    state === 'refused' ? `Refused: ${detail}` : `${LABELS[state]} ${detail}`.trim();
  byId('read').textContent = isReading() ? 'Close the channel' : 'Open the channel';
  void showConnections();
}

const isReading = () => !['closed', 'refused'].includes(byId('reader').dataset.state);

function toggleReader() {
  if (isReading()) return stream.close();
  void openReader(record(), new EventList(byId('record-events'), byId('record-empty')));
}

async function openReader(path, list) {
  showState('connecting');
  const lastEventId = await showRecord(path, list);
  const event = (received) => {
    list.add(received, false);
    if (received.type === 'sse.reset') void showRecord(path, list);
  };
  stream = new EventStream(`${path}/sse`, { state: showState, event });
  stream.lastEventId = lastEventId;
  stream.open();
}

/** The record as it is now. @returns the position from which on changes arrive as events; '' if the user may not read it */
async function showRecord(path, list) {
  const { ok, body } = await send('GET', path);
  if (!ok) return '';
  const { record, lastEventId } = body;
  if (record) list.add({ type: 'state', data: JSON.stringify(record), id: lastEventId }, false);
  return lastEventId;
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
