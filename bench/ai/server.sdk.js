/** The AI SDK alone: the answer ends with the request. */
import { Body, Post, Res } from '@nestjs/common';
import { pipeUIMessageStreamToResponse } from 'ai';
import { decorate } from './decorate.js';

export function serve({ chats }) {
  class ChatController {
    async chat(body, reply) {
      const stream = await chats.answer(body);
      reply.hijack();
      void pipeUIMessageStreamToResponse({ response: reply.raw, stream });
    }
  }
  decorate(ChatController, 'chat', [Post('chat')], [Body(), Res()]);
  return { imports: [], controller: ChatController };
}
