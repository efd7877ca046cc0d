import type { Message } from '../broker/message.js';

const MAX_MESSAGES = 2_048;
const MAX_SIZE = 4_194_304;

/** Messages held back while a hub finds out where it is. */
export class Backlog {
  #messages: Message[] = [];
  #size = 0;
  #overflowed = false;

  push(message: Message): void {
    this.#messages.push(message);
    this.#size += message.size;
    if (this.#messages.length <= MAX_MESSAGES && this.#size <= MAX_SIZE) return;
    // All of them are in the history, but for those that are not to be kept anyway.
    this.#messages = [];
    this.#size = 0;
    this.#overflowed = true;
  }

  /** The cursor before the first of them that has a place in the chain. */
  get start(): string | undefined {
    return this.#messages.find(({ cursor }) => cursor !== undefined)?.prev;
  }

  /** Empties it. `overflowed`: there were more, which have to be read. */
  take(): { messages: Message[]; overflowed: boolean } {
    const taken = { messages: this.#messages, overflowed: this.#overflowed };
    this.#messages = [];
    this.#size = 0;
    this.#overflowed = false;
    return taken;
  }
}
