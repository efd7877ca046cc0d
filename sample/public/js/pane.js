import { onSubmit, parse } from './dom.js';
import { EventList } from './event-list.js';
import { EventStream, newestPosition } from './event-stream.js';

/** The second channel of each connection: the metrics of all nodes. */
const STATS = 'stats';
/** A position that no history reaches. */
const EXPIRED = '1000000000000-1';
/** The longest time for which events count as replayed after a reconnect. */
const REPLAY_MS = 10_000;

const EMPTY = 'No events yet. Publish one, here or anywhere else.';
const IDLE =
  'A second client of this node needs a connection of its own. Connect it, or start a second node.';

const LABELS = {
  idle: 'Not connected',
  connecting: 'Connecting',
  open: 'Connected',
  waiting: 'Reconnects:',
  closed: 'Disconnected',
  paused: 'Paused: the tab is hidden',
  refused: 'Refused:',
};

/** One client: a connection to one node, and the events that it delivers. */
export class Pane {
  /** Whether this client was connected before, by the page or by its user. */
  isUsed = false;
  #stream;
  #state = 'idle';
  #received = 0;
  /** The position at which the replay ends, and the time by which it has ended. */
  #replay = { end: undefined, untilMs: 0 };

  /** @param onMetrics called with each event of the channel `stats` */
  constructor(root, node, onMetrics) {
    this.root = root;
    this.node = node;
    this.onMetrics = onMetrics;
    this.list = new EventList(this.find('.events'), this.find('.empty'));
    onSubmit(this.find('.subscription'), () => this.subscribe());
    this.find('.connect').addEventListener('click', () => this.toggle());
    this.find('.expire').addEventListener('click', () => this.resumeFrom(EXPIRED));
    this.find('.clear').addEventListener('click', () => this.list.clear());
    this.#show('idle');
  }

  find(selector) {
    return this.root.querySelector(selector);
  }

  get isConnected() {
    return !['idle', 'closed', 'refused'].includes(this.#state);
  }

  get channels() {
    return this.find('[name=channel]')
      .value.split(/[\s,]+/)
      .filter(Boolean);
  }

  /** Connects to the channels of the form, without a position. */
  subscribe() {
    this.#stream?.close();
    this.#open('');
  }

  toggle() {
    if (this.isConnected) this.#stream.close();
    else this.resumeFrom(this.#stream?.lastEventId ?? '');
  }

  /** Connects to another node, and resumes there. */
  moveTo(node) {
    if (node === this.node) return;
    this.node = node;
    if (this.isConnected) this.resumeFrom(this.#stream.lastEventId);
  }

  resumeFrom(lastEventId) {
    this.#stream?.close();
    this.#open(lastEventId);
  }

  pause() {
    if (!this.isConnected) return;
    this.#stream.close();
    this.#show('paused');
  }

  resume() {
    if (this.#state === 'paused') this.resumeFrom(this.#stream.lastEventId);
  }

  #open(lastEventId) {
    this.isUsed = true;
    const query = new URLSearchParams([...this.channels, STATS].map((channel) => ['channel', channel]));
    const url = (route) => `${this.node}/${route}?${query}`;
    const stream = new EventStream(url(this.find('[name=route]').value), {
      state: (state, detail) => stream === this.#stream && this.#show(state, detail),
      event: (event) => this.#receive(event),
      resume: () => this.#findEnd(url('channel'), stream.lastEventId),
    });
    this.#stream = stream;
    stream.lastEventId = lastEventId;
    this.find('.url').textContent = new URL(stream.url).pathname + new URL(stream.url).search;
    this.#showPosition();
    stream.open();
  }

  /** All events up to the newest position were published before this client reconnects. */
  async #findEnd(url, lastEventId) {
    const end = await newestPosition(url);
    this.#replay = { end: end === lastEventId ? undefined : end, untilMs: Date.now() + REPLAY_MS };
  }

  #receive(event) {
    const isReplayed = this.#replay.end !== undefined && Date.now() < this.#replay.untilMs;
    if (event.id === this.#replay.end || event.type === 'sse.reset') this.#replay.end = undefined;
    this.#showPosition();
    if (this.#isMetrics(event)) return;
    this.find('.count').textContent = String(++this.#received);
    this.list.add(event, isReplayed && !event.type.startsWith('sse.'));
  }

  /** Whether an event belongs to the page's own channel. Events of a connection do not name their channel. */
  #isMetrics({ type, data }) {
    if (type !== 'metrics' && type !== 'sse.reset') return false;
    const content = parse(data);
    if (type === 'metrics' && content?.node && content.port) this.onMetrics(content);
    else if (content?.channel !== STATS) return false;
    return !this.channels.includes(STATS);
  }

  #show(state, detail = '') {
    this.#state = state;
    this.root.dataset.state = state;
    this.find('.state').textContent = `${LABELS[state]} ${detail}`.trim();
    this.find('.empty').textContent = state === 'idle' ? IDLE : EMPTY;
    this.find('.connect').textContent = this.isConnected ? 'Disconnect' : 'Connect';
    this.find('.connect').classList.toggle('quiet', this.isConnected);
  }

  #showPosition() {
    this.find('.position').textContent = this.#stream.lastEventId || 'none yet';
  }
}
