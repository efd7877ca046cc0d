/**
 * resumable-stream, as the AI SDK's guide has it (`consumeSseStream` in POST, `resumeExistingStream()` in GET). The context and its two
 * connections belong to the process: one for each request, as in the guide, would open two connections each.
 */
import { Body, Get, Param, Post, Res } from '@nestjs/common';
import { generateId, pipeUIMessageStreamToResponse, UI_MESSAGE_STREAM_HEADERS } from 'ai';
import { Redis } from 'ioredis';
import { createResumableStreamContext } from 'resumable-stream/ioredis';
import { decorate } from './decorate.js';

export function serve({ chats, redis }) {
  const streams = createResumableStreamContext({
    waitUntil: () => {},
    publisher: new Redis(redis),
    subscriber: new Redis(redis),
  });

  class ChatController {
    async chat(body, reply) {
      const stream = await chats.answer(body, { ending: { activeStreamId: null } });
      reply.hijack();
      void pipeUIMessageStreamToResponse({
        response: reply.raw,
        stream,
        async consumeSseStream({ stream: copy }) {
          const activeStreamId = generateId();
          await streams.createNewResumableStream(activeStreamId, () => copy);
          await chats.save(body.id, { activeStreamId });
        },
      });
    }

    async resume(id, reply) {
      const { activeStreamId } = await chats.read(id);
      if (!activeStreamId) return reply.send(new Response(null, { status: 204 }));
      const stream = await streams.resumeExistingStream(activeStreamId);
      const bytes = stream?.pipeThrough(new TextEncoderStream()) ?? null;
      return reply.send(new Response(bytes, { headers: UI_MESSAGE_STREAM_HEADERS }));
    }
  }
  decorate(ChatController, 'chat', [Post('chat')], [Body(), Res()]);
  decorate(ChatController, 'resume', [Get('chat/:id/stream')], [Param('id'), Res()]);
  return { imports: [], controller: ChatController };
}
