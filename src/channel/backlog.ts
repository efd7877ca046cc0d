import type { Message } from '../event/message.js';

const MAX_MESSAGES = 2_048;
const MAX_SIZE = 4_194_304;

/** Messages that a hub holds back while it synchronises. */
export class Backlog {
  #messages: Message[] = [];
  #size = 0;
  #overflowed = false;

  push(message: Message): void {
    this.#messages.push(message);
    this.#size += message.size;
    if (this.#messages.length <= MAX_MESSAGES && this.#size <= MAX_SIZE) return;
    // The history has all of them that are stored.
    this.#messages = [];
    this.#size = 0;
    this.#overflowed = true;
  }

  /** The cursor before the first stored message. */
  get start(): string | undefined {
    return this.#messages.find(({ cursor }) => cursor !== undefined)?.prev;
  }

  /** Empties the backlog. `overflowed`: messages were dropped, so the history has to be read. */
  take(): { messages: Message[]; overflowed: boolean } {
    const taken = { messages: this.#messages, overflowed: this.#overflowed };
    this.#messages = [];
    this.#size = 0;
    this.#overflowed = false;
    return taken;
  }
}
