import { send } from './dom.js';

/** After an answer other than 200, an `EventSource` does not retry. */
const RETRY_MS = 3_000;

const LABELS = {
  idle: 'Not connected',
  connecting: 'Connecting',
  open: 'Connected',
  paused: 'Paused: the tab is hidden',
  missing: 'Nothing is kept of this job',
};

/** A client of one job: an `EventSource` to one node, until `sse.end`. */
export class JobClient {
  node;
  end;
  #id;
  #state = 'idle';
  #received = 0;
  #lastEventId = '';
  #source;
  #retry;

  /** @param handlers `step(node)`, called with the name of the node that runs the job, and `change()` */
  constructor(root, handlers) {
    this.root = root;
    this.handlers = handlers;
    this.#clear();
  }

  find(selector) {
    return this.root.querySelector(selector);
  }

  /** Whether the job may still be running, as far as this client knows. */
  get isLive() {
    return ['connecting', 'open', 'paused'].includes(this.#state);
  }

  /** Reads a job from its first step. */
  watch(node, id) {
    this.#close();
    this.node = node;
    this.#id = id;
    this.#lastEventId = '';
    this.#clear();
    this.find('h3').textContent = `Client on ${new URL(node).host}`;
    if (document.hidden) this.#show('paused');
    else this.#connect();
  }

  leave() {
    this.#close();
    this.node = undefined;
    this.#clear();
    this.#show('idle');
  }

  pause() {
    if (!this.isLive) return;
    this.#close();
    this.#show('paused');
  }

  resume() {
    if (this.#state === 'paused') this.#connect();
  }

  get #path() {
    return `${this.node}/jobs/${encodeURIComponent(this.#id)}`;
  }

  #connect() {
    this.#show('connecting');
    const position = this.#lastEventId && `?lastEventId=${encodeURIComponent(this.#lastEventId)}`;
    const source = (this.#source = new EventSource(this.#path + position));
    source.addEventListener('open', () => this.#show('open'));
    source.addEventListener('step', (event) => this.#receive(event));
    // Either all steps follow, from the first one, or the end.
    source.addEventListener('sse.reset', () => this.#clear());
    source.addEventListener('sse.end', ({ data }) => {
      source.close();
      this.#finish(data);
    });
    source.addEventListener('error', () => {
      if (source.readyState === EventSource.CLOSED) void this.#explain(source);
      else this.#show('connecting');
    });
  }

  #close() {
    this.#source?.close();
    clearTimeout(this.#retry);
  }

  #receive({ data, lastEventId }) {
    const { step, of, node } = JSON.parse(data);
    this.#lastEventId = lastEventId;
    this.find('progress').max = of;
    this.find('progress').value = step;
    this.find('.step').textContent = `${step} of ${of}`;
    this.find('.received').textContent = String(++this.#received);
    this.handlers.step(node);
  }

  #finish(data) {
    this.end = JSON.parse(data);
    this.find('.end').textContent = data;
    this.#show(this.end.status);
  }

  /** An `EventSource` does not tell why it has closed. */
  async #explain(source) {
    this.#show('connecting');
    const { body } = await send('GET', `${this.#path}/status`);
    // The client may have been closed, or may read another job by now.
    if (source !== this.#source || this.#state !== 'connecting') return;
    if (body?.state === 'missing') this.#show('missing');
    else this.#retry = setTimeout(() => this.#connect(), RETRY_MS);
  }

  #clear() {
    this.end = undefined;
    this.#received = 0;
    this.find('progress').value = 0;
    this.find('.step').textContent = 'none yet';
    this.find('.received').textContent = '0';
    this.find('.end').textContent = 'none yet';
  }

  #show(state) {
    this.#state = state;
    this.root.dataset.state = state;
    this.find('.badge').dataset.state = state;
    this.find('.badge').textContent = LABELS[state] ?? `Ended: ${state}`;
    this.handlers.change();
  }
}
