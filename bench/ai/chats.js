/** The application: its database of chats, and its call of the model. The same for all servers. */
import { convertToModelMessages, generateId, streamText, toUIMessageStream } from 'ai';
import { Redis } from 'ioredis';
import { modelFor } from './model.js';

/** Chats by id, in a Redis of the application, which is not the measured one. */
export class Chats {
  constructor(url) {
    this.database = new Redis(url);
  }

  async read(id) {
    const { messages = '[]', activeStreamId } = await this.database.hgetall(id);
    return { messages: JSON.parse(messages), activeStreamId: activeStreamId || undefined };
  }

  async save(id, { messages, activeStreamId }) {
    const fields = {};
    if (messages) fields.messages = JSON.stringify(messages);
    if (activeStreamId !== undefined) fields.activeStreamId = activeStreamId ?? '';
    await this.database.hset(id, fields);
  }

  /**
   * The chunks of the answer to the last message. The whole answer is saved at the end.
   *
   * @param ending what else is saved
   */
  async answer({ id, messages: sent, ...request }, { signal, ending = {} } = {}) {
    const messages = [...(await this.read(id)).messages, sent.at(-1)];
    await this.save(id, { messages, ...ending });
    const { stream } = streamText({
      model: modelFor({ id, ...request }),
      messages: await convertToModelMessages(messages),
      abortSignal: signal,
      // The failure is a case, not news.
      onError: () => {},
    });
    return toUIMessageStream({
      stream,
      originalMessages: messages,
      generateMessageId: generateId,
      onEnd: (end) => this.save(id, { messages: end.messages, ...ending }),
    });
  }
}
