import { Injectable, Logger, type OnApplicationShutdown, ServiceUnavailableException } from '@nestjs/common';
import { Redis } from 'ioredis';
import type { SseStreamEnd } from 'nestjs-sse-channels';

/** A message in the form of the AI SDK (`UIMessage`). */
export interface ChatMessage {
  readonly id: string;
  readonly role: 'user' | 'assistant';
  readonly parts: readonly { readonly type: 'text'; readonly text: string }[];
  /** Of an answer: the node that has produced it, and how it ended. */
  readonly metadata?: { readonly node: string; readonly end: SseStreamEnd };
}

interface Saved {
  readonly message: ChatMessage;
  /** Of an answer: the id of the user's message. */
  readonly answerTo?: string;
}

/** Bounds: messages of a chat, chats in memory, and how long Redis keeps a chat after its last message. */
const [MAX_MESSAGES, MAX_CHATS, KEEP_MS] = [200, 500, 3_600_000];
const TIMEOUT_MS = 3_000;

/**
 * The messages of chats. An application keeps them in its database. This demonstration keeps them in Redis, so that each node has them, or
 * in memory where there is no Redis, and so only one node.
 */
@Injectable()
export class Chats implements OnApplicationShutdown {
  readonly #memory = new Map<string, string[]>();
  readonly #redis = process.env.SSE_REDIS_URL ? connect(process.env.SSE_REDIS_URL) : undefined;

  /** @param answerTo the id of the user's message, if the message is its answer */
  async save(chat: string, message: ChatMessage, answerTo?: string): Promise<void> {
    const saved = JSON.stringify({ message, answerTo } satisfies Saved);
    if (!this.#redis) return this.#remember(chat, saved);
    const key = keyOf(chat);
    await reached(
      Promise.all([
        this.#redis.xadd(key, 'MAXLEN', MAX_MESSAGES, '*', 'm', saved),
        this.#redis.pexpire(key, KEEP_MS),
      ]),
    );
  }

  /** In the order of the user's messages, each with its newest answer. */
  async read(chat: string): Promise<ChatMessage[]> {
    if (!this.#redis) return conversation(this.#memory.get(chat) ?? []);
    const entries = await reached(this.#redis.xrange(keyOf(chat), '-', '+'));
    return conversation(entries.map(([, [, saved]]) => saved!));
  }

  async onApplicationShutdown(): Promise<void> {
    await this.#redis?.quit().catch(() => this.#redis?.disconnect());
  }

  #remember(chat: string, saved: string): void {
    const messages = [...(this.#memory.get(chat) ?? []), saved].slice(-MAX_MESSAGES);
    // The chat becomes the newest one.
    this.#memory.delete(chat);
    this.#memory.set(chat, messages);
    const [oldest] = this.#memory.keys();
    if (this.#memory.size > MAX_CHATS) this.#memory.delete(oldest!);
  }
}

function connect(url: string): Redis {
  const redis = new Redis(url, { commandTimeout: TIMEOUT_MS, maxRetriesPerRequest: null });
  const logger = new Logger(Chats.name);
  let isReported = false;
  redis.on('ready', () => (isReported = false));
  redis.on('error', (error: Error) => {
    if (!isReported) logger.error(`Redis: ${error.message}`);
    isReported = true;
  });
  return redis;
}

/** In the module's prefix, which a user of Redis may be limited to. */
const keyOf = (chat: string) => `${process.env.SSE_PREFIX ?? 'sse'}:sample-chat:${chat}`;

/** @throws ServiceUnavailableException */
function reached<T>(answer: Promise<T>): Promise<T> {
  return answer.catch((cause: Error) => {
    throw new ServiceUnavailableException('The messages cannot be reached', { cause });
  });
}

/** A message that is asked again replaces its answer. An answer that was replaced may be saved after the next message. */
function conversation(saved: readonly string[]): ChatMessage[] {
  const turns = new Map<string, ChatMessage[]>();
  for (const entry of saved) {
    const { message, answerTo } = JSON.parse(entry) as Saved;
    if (answerTo === undefined) turns.set(message.id, [message]);
    else turns.set(answerTo, [...(turns.get(answerTo) ?? []).slice(0, 1), message]);
  }
  return [...turns.values()].flat();
}
