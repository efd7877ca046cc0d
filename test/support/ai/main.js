/**
 * A node of the application of the recipe for AI chats, as a process of its own: `ai` is the version that its folder has. The
 * answer of the model depends on the last message of the user: `20 words, 10 ms (<id of the chat>)`, and ` then fail`, or
 * ` then wait`.
 */
import { readFileSync } from 'node:fs';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import * as mocks from 'ai/test';
import { Redis } from 'ioredis';
import { SseModule } from 'nestjs-sse-channels';
import { ChatController, Chats } from './controller.js';

const { REDIS, CHATS, PREFIX, PLATFORM, SSE, SAVE_MS = '0' } = process.env;
const redis = new Redis(CHATS);
const [name, Model] = Object.entries(mocks)
  .filter(([exported]) => exported.startsWith('MockLanguageModelV'))
  .toSorted()
  .at(-1);
const end = name.endsWith('V2')
  ? { finishReason: 'stop', usage: { inputTokens: 1, outputTokens: 1, totalTokens: 2 } }
  : {
      finishReason: { unified: 'stop', raw: 'stop' },
      usage: { inputTokens: { total: 1 }, outputTokens: { total: 1 } },
    };

async function* answer(question, signal) {
  const [, count, ms, chat] = /(\d+) words, (\d+) ms \((.+)\)/.exec(question);
  yield { type: 'stream-start', warnings: [] };
  yield { type: 'text-start', id: '1' };
  for (let n = 0; n < Number(count); n++) {
    // The model's own HTTP request would be aborted.
    signal?.throwIfAborted();
    if (n > 0) await new Promise((resolve) => setTimeout(resolve, Number(ms)));
    yield { type: 'text-delta', id: '1', delta: `w${n} ` };
    await redis.set(`${PREFIX}${chat}:words`, n + 1);
  }
  while (question.includes('then wait') && !(await redis.get(`${PREFIX}${chat}:go`))) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  if (question.includes('then fail')) throw new Error('The model is overloaded');
  yield { type: 'text-end', id: '1' };
  yield { type: 'finish', ...end };
}

class RedisChats extends Chats {
  model = new Model({
    doStream: async ({ prompt, abortSignal }) => ({
      stream: ReadableStream.from(answer(prompt.at(-1).content[0].text, abortSignal)),
    }),
  });
  async load(id) {
    const ids = await redis.lrange(`${PREFIX}${id}:ids`, 0, -1);
    return ids.length === 0
      ? []
      : (await redis.hmget(PREFIX + id, ids)).map((message) => JSON.parse(message));
  }
  async save(id, messages) {
    // A database may be slow.
    if (messages.at(-1).role === 'assistant')
      await new Promise((resolve) => setTimeout(resolve, Number(SAVE_MS)));
    for (const message of messages) {
      const isNew = await redis.hset(PREFIX + id, message.id, JSON.stringify(message));
      if (isNew) await redis.rpush(`${PREFIX}${id}:ids`, message.id);
    }
  }
}

// oxlint-disable-next-line typescript/no-extraneous-class -- a module of Nest
class App {}
Module({
  imports: [SseModule.forRoot({ redis: REDIS, prefix: PREFIX, retryMs: 100, ...JSON.parse(SSE) })],
  controllers: [ChatController],
  providers: [{ provide: Chats, useClass: RedisChats }],
})(App);
const adapter = PLATFORM === 'Express' ? new ExpressAdapter() : new FastifyAdapter();
const app = await NestFactory.create(App, adapter, { logger: ['error', 'warn'] });
app.enableShutdownHooks();
for (const [path, type, text] of [
  [
    '/page',
    'text/html',
    '<!doctype html><link rel="icon" href="data:,"><div id="root"></div><script type="module" src="/page.js"></script>',
  ],
  ['/page.js', 'text/javascript', readFileSync(new URL('bundle.js', import.meta.url), 'utf8')],
]) {
  adapter.get(path, (_request, response) => {
    adapter.setHeader(response, 'content-type', type);
    adapter.reply(response, text, 200);
  });
}
await app.listen(0, '127.0.0.1');
process.stdout.write(`Listening on ${await app.getUrl()}\n`);
