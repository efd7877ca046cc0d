import { randomUUID } from 'node:crypto';
import { Body, Controller, Get, HttpCode, HttpException, Param, Post, UseGuards } from '@nestjs/common';
import {
  SseChannel,
  SseStream,
  type SseStreamEnd,
  SseStreams,
  type SseStreamWriter,
} from 'nestjs-sse-channels';
import { type ChatRequest, checkChat, checkRequest } from './chat-request.js';
import { Chats } from './chats.js';
import { JsonOnly } from './json-only.guard.js';
import { NODE } from './stats.js';
import { generate } from './token-generator.js';

/** Short, so that the page shows the loss of a killed node soon. */
const LEASE_MS = 5_000;
/** The id of the text in an answer, which has one. */
const TEXT = 'text';

/** Records, jobs, `sse` and `stats` have channels of other names. @throws BadRequestException */
const streamOf = (id: string) => `chat:${checkChat(id)}`;

/**
 * Chats, with the routes that the AI SDK's `useChat()` expects. Everyone may read, continue and stop each. That suits a demonstration, and
 * nothing else.
 */
@Controller('chat')
export class ChatController {
  constructor(
    private readonly streams: SseStreams,
    private readonly chats: Chats,
  ) {}

  /** The answer is produced on this node, and goes on without the request, which is its first reader. */
  @Post()
  @UseGuards(JsonOnly)
  @SseStream({ format: 'ai-ui' })
  async ask(@Body() body: unknown) {
    const request = checkRequest(body);
    await this.chats.save(request.chat, request.question);
    const producer = (out: SseStreamWriter) => this.#answer(out, request);
    return this.streams.start(streamOf(request.chat), producer, { replace: true, leaseMs: LEASE_MS });
  }

  /** After `generation`, a client gets the whole stream, also if it has ended since. */
  @Get(':id')
  async read(@Param('id') id: string) {
    // Read before the messages: an answer that ends in between is among them.
    const { state, generation } = await this.streams.status(streamOf(id));
    const messages = await this.chats.read(id);
    // Without an answer, the stream alone has what a killed node has produced.
    const isUnanswered = messages.at(-1)?.role === 'user';
    return { messages, generation: state === 'live' || isUnanswered ? generation : undefined };
  }

  @Get(':id/stream')
  @SseStream({ format: 'ai-ui' })
  stream(@Param('id') id: string) {
    return this.streams.attach(streamOf(id));
  }

  /** On any node. It responds when the answer has stopped. */
  @Post(':id/stop')
  @HttpCode(200)
  @UseGuards(JsonOnly)
  async stop(@Param('id') id: string) {
    return { result: await this.streams.abort(streamOf(id), 'user') };
  }

  /** Tells open pages that an answer starts, whoever has asked, and which nodes there are. A stream is a channel, too. */
  @SseChannel(':id/starts')
  starts(@Param('id') id: string) {
    return {
      channel: [streamOf(id), 'stats'],
      filter: ({ type, data }: { type?: string; data: unknown }) =>
        type === 'metrics' || (Object(data) as { type?: unknown }).type === 'start',
    };
  }

  /** Produces an answer, and saves it before its stream ends. */
  async #answer(out: SseStreamWriter, { chat, question, generation }: ChatRequest): Promise<void> {
    const id = randomUUID();
    let text = '';
    const save = (end: SseStreamEnd) =>
      this.chats.save(
        chat,
        { id, role: 'assistant', parts: [{ type: 'text', text }], metadata: { node: NODE, end } },
        question.id,
      );
    out.write({ type: 'start', messageId: id, messageMetadata: { node: NODE } });
    out.write({ type: 'start-step' });
    out.write({ type: 'text-start', id: TEXT });
    try {
      for await (const delta of generate(generation, out.signal)) {
        text += delta;
        out.write({ type: 'text-delta', id: TEXT, delta });
      }
    } catch (error) {
      await save(out.signal.aborted ? await out.done : endOf(error));
      throw error;
    }
    out.write({ type: 'text-end', id: TEXT });
    out.write({ type: 'finish-step' });
    await save({ status: 'done' });
    out.write({ type: 'finish' });
  }
}

/** How the module ends a stream after an error. */
const endOf = (error: unknown): SseStreamEnd => ({
  status: 'error',
  reason: error instanceof HttpException ? error.message : 'failed',
});
