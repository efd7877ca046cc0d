/** A page of `cases.js`: the chat of the AI SDK, as `useChat()` holds it, and what the user sees in the end. */
import { Chat } from '@ai-sdk/react';
import { setTimeout as sleep } from 'node:timers/promises';
import { textOf } from './model.js';

const POLL_MS = 20;
const isBusy = ({ status }) => status === 'streaming' || status === 'submitted';
const seconds = (ms) => `${(ms / 1_000).toFixed(1)} s`;

export class Page {
  /** @param request tokens and pace of the model, sent with each message */
  constructor({ id, messages, transport, request }) {
    this.tokens = request.tokens;
    this.chat = new Chat({ id, messages, transport, onError: () => {} });
  }

  /** Loads a chat, and resumes its answer: `useChat({ resume: true })`. */
  static async open({ column, node, id, request }) {
    const messages = await (await fetch(`${node.url}/chat/${id}/messages`)).json();
    const transport = column.transport({ api: `${node.url}/chat`, body: request });
    const page = new Page({ id, messages, transport, request });
    page.resumed = page.chat.resumeStream();
    return page;
  }

  send() {
    void this.chat.sendMessage({ text: 'How many?' });
  }

  /** Closes the page, and with it its connections. */
  async close() {
    await this.chat.stop();
  }

  get text() {
    const answers = this.chat.messages.filter(({ role }) => role === 'assistant');
    const parts = answers.flatMap((message) => message.parts);
    return parts.map(({ type, text }) => (type === 'text' ? text : '')).join('');
  }

  /** Until the page has a part of the answer. */
  async reads(part) {
    const length = textOf(this.tokens).length * part;
    const start = performance.now();
    while (this.text.length < length) {
      if (performance.now() - start > 30_000)
        throw new Error(`Expected ${part} of the answer, got ${this.text}`);
      await sleep(POLL_MS);
    }
  }

  /** What the page ends with, at most some time after now. */
  async outcome(patienceMs = 40_000) {
    const start = performance.now();
    const passed = () => performance.now() - start;
    void this.resumed?.catch(() => {});
    // A page that has nothing to resume is ready at once.
    await Promise.race([this.resumed, sleep(patienceMs)]);
    while (isBusy(this.chat) && passed() < patienceMs) await sleep(POLL_MS);
    const { status, error } = this.chat;
    const after = seconds(passed());
    if (isBusy(this.chat)) return `still "${status}" after ${after}, ${this.#share()}`;
    if (status === 'error') return `error after ${after} (“${error.message.slice(0, 60)}”), ${this.#share()}`;
    const share = this.#share();
    return share === 'whole answer' ? share : `ready after ${after}, ${share}`;
  }

  #share() {
    const [whole, { text }] = [textOf(this.tokens), this];
    if (text === whole) return 'whole answer';
    if (text === '') return 'no answer';
    if (!whole.startsWith(text)) return `wrong text of ${text.length} characters`;
    return `${Math.round((text.length / whole.length) * 100)} % of the answer`;
  }
}

/** What the model of a chat does, from now on. */
export async function modelOutcome(node, id, patienceMs) {
  const start = performance.now();
  let [last, changedAt] = [await node.model(id), start];
  while (performance.now() - start < patienceMs) {
    await sleep(POLL_MS);
    const now = await node.model(id);
    if (now.isOver) return 'model went on to its end';
    if (now.tokens !== last.tokens) [last, changedAt] = [now, performance.now()];
  }
  const isStopped = performance.now() - changedAt > 1_000;
  return isStopped ? `model stopped after ${seconds(changedAt - start)}` : 'model went on';
}
