/** This module: `@SseStream({ format: 'ai-ui' })`. */
import { Body, Get, Inject, Param, Post } from '@nestjs/common';
import { SseModule, SseStream, SseStreams } from 'nestjs-sse-channels';
import { decorate } from './decorate.js';

export function serve({ chats, redis }) {
  class ChatController {
    constructor(streams) {
      this.streams = streams;
    }

    chat(body) {
      return this.streams.start(`chat:${body.id}`, async (out, signal) => {
        await out.pipe(await chats.answer(body, { signal }));
      });
    }

    resume(id) {
      return this.streams.attach(`chat:${id}`);
    }

    stop(id) {
      return this.streams.abort(`chat:${id}`);
    }
  }
  Inject(SseStreams)(ChatController, undefined, 0);
  const format = 'ai-ui';
  decorate(ChatController, 'chat', [Post('chat'), SseStream({ format })], [Body()]);
  const allow = ['chat:{id}'];
  decorate(ChatController, 'resume', [Get('chat/:id/stream'), SseStream({ format, allow })], [Param('id')]);
  decorate(ChatController, 'stop', [Post('chat/:id/stop')], [Param('id')]);
  return { imports: [SseModule.forRoot({ redis })], controller: ChatController };
}
