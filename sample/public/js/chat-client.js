import { AnswerStream, Refusal } from './answer-stream.js';
import { describe, newId, send } from './dom.js';

const RETRY_MS = 1_000;
const BUSY = ['waiting', 'streaming', 'reconnecting'];

const textOf = ({ parts }) => parts.map(({ text }) => text).join('');
const fromSaved = (saved) => ({ id: saved.id, role: saved.role, text: textOf(saved), ...saved.metadata });

/** A client of one chat: its messages, and the stream of the answer that is being written. */
export class ChatClient {
  /** `{ id, role, text, node, end, problem }`: `end` of an answer, `problem` of a message that was not accepted. */
  messages = [];
  state = 'loading';
  /** The node that is read from. */
  node;
  stream;
  #work = new AbortController();
  /** The id of the newest answer that has started anywhere. */
  #started;

  /** @param handlers `nodes()`, the addresses that have the chat, and `change()` */
  constructor(id, handlers) {
    this.id = id;
    this.handlers = handlers;
  }

  get isBusy() {
    return BUSY.includes(this.state);
  }

  #path(action = '') {
    return `/chat/${encodeURIComponent(this.id)}${action}`;
  }

  /** Loads the messages, and the answer that is being written: from its first chunk, also if it ends in between. */
  async load() {
    const signal = this.#begin('loading');
    const loaded = await this.#saved(signal);
    if (!loaded) return;
    const { messages, generation } = loaded;
    // Without Redis, a node loses the messages when it ends. The page keeps what it shows.
    if (messages.length > 0) this.messages = messages.map(fromSaved);
    if (generation !== undefined) return await this.#read(signal, this.#open(generation));
    const last = this.messages.at(-1);
    if (last?.role === 'assistant') last.end ??= { status: 'lost' };
    this.#finish();
  }

  /**
   * Sends a message of the user: `{ id, text }`, again if it is known. The response is the stream of its answer.
   *
   * @param options for the generator
   */
  async send({ id, text }, options, node) {
    const signal = this.#begin('waiting', node);
    const known = this.messages.findIndex((message) => message.id === id);
    const question = { id, role: 'user', text };
    // The answer of a message that is sent again is replaced.
    this.messages = known < 0 ? this.messages : this.messages.toSpliced(known, this.messages.length);
    this.messages.push(question);
    this.handlers.change();
    const stream = this.#open();
    const messages = [{ id, role: 'user', parts: [{ type: 'text', text }] }];
    try {
      const response = await fetch(`${node}/chat`, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify({ id: this.id, messages, ...options }),
        signal: stream.connection(signal),
      });
      if (response.ok) return await this.#read(signal, stream, response);
      const { status, statusText } = response;
      question.problem = describe({ status, statusText, body: await response.json().catch(() => undefined) });
    } catch (error) {
      if (signal.aborted) return;
      question.problem = `No answer from ${new URL(node).host}: ${error.message}`;
    }
    this.#show('idle');
  }

  /** On any node. The one that is read from may have been killed. */
  async stop() {
    for (const node of this.handlers.nodes()) {
      const { status } = await send('POST', node + this.#path('/stop'), {});
      if (status !== 0) return;
    }
  }

  /** Breaks the connection. */
  break() {
    this.stream?.break();
  }

  /** An answer has started, perhaps for another tab. */
  noteStart(id) {
    this.#started = id;
    if (this.state === 'idle') void this.load();
  }

  /** Closes the connection. `load()` goes on. */
  pause() {
    this.#begin('paused');
  }

  #open(generation) {
    const state = (name, node) => this.#show(name, node);
    return new AnswerStream({ path: this.#path('/stream'), nodes: this.handlers.nodes, state }, generation);
  }

  async #read(signal, stream, first) {
    this.stream = stream;
    try {
      for await (const chunk of stream.read(signal, first)) this.#apply(chunk);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      this.#answer().end = { status: 'error', reason: error.message };
      return this.#finish();
    }
    if (signal.aborted) return;
    // Nothing is kept of the stream: its answer was saved, or was lost with the only node.
    if (!stream.hasEnded) return await this.load();
    this.#answer().end ??= { status: 'done' };
    this.#finish();
  }

  /** Another tab may have asked in the meantime. */
  #finish() {
    this.#show('idle');
    const started = this.#started;
    this.#started = undefined;
    const isKnown = this.messages.some(({ id }) => id === started);
    if (started !== undefined && !isKnown) void this.load();
  }

  #apply(chunk) {
    if (chunk.type === 'start') this.#startAnswer(chunk.messageId, chunk.messageMetadata?.node);
    if (chunk.type === 'text-delta') this.#answer().text += chunk.delta;
    if (chunk.type === 'abort') this.#answer().end = { status: 'aborted' };
    if (chunk.type === 'error') this.#answer().end = { status: 'error', reason: chunk.errorText };
    if (this.state === 'waiting' || this.state === 'loading') this.#show('streaming');
    else this.handlers.change();
  }

  /** The answer of the last message: a saved part of it, or an earlier answer, is replaced. */
  #startAnswer(id, node) {
    const last = this.messages.findLastIndex(({ role }) => role === 'user');
    this.messages = [...this.messages.slice(0, last + 1), { id, role: 'assistant', text: '', node }];
  }

  /** The last message, if it is an answer; otherwise a new one. A stream may fail before its first chunk. */
  #answer() {
    if (this.messages.at(-1)?.role !== 'assistant') this.#startAnswer(newId());
    return this.messages.at(-1);
  }

  /** The messages on any node. */
  async #saved(signal) {
    for (let attempt = 0; ; attempt++) {
      const nodes = this.handlers.nodes();
      const node = nodes[attempt % nodes.length];
      const { ok, status, body } = await send('GET', node + this.#path());
      if (signal.aborted) return undefined;
      if (ok) {
        this.node = node;
        return body;
      }
      this.#show(status > 0 && status < 500 ? 'refused' : 'unreachable');
      if (this.state === 'refused') return undefined;
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }

  /** Ends what the client did before. */
  #begin(state, node) {
    this.#work.abort();
    this.#work = new AbortController();
    this.#show(state, node);
    return this.#work.signal;
  }

  #show(state, node = this.node) {
    this.state = state;
    this.node = node;
    this.handlers.change();
  }
}
