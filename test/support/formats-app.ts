import { setTimeout as sleep } from 'node:timers/promises';
import { Controller, Get, HttpException, Param, Post } from '@nestjs/common';
import {
  SseModule,
  type SseModuleOptions,
  SseStream,
  type SseStreamFormat,
  SseStreams,
  type SseStreamWriter,
} from 'nestjs-sse-channels';
import { type Platform, startApp } from './app.js';

/** Numbers, each on a line of its own. */
const numbers: SseStreamFormat = {
  headers: { 'x-format': 'numbers' },
  event: ({ id, json, type }) => {
    if (json === '"unwritable"') throw new Error('This is no number');
    if (json === '"late"') return Promise.reject(new Error('This is late')) as unknown as string;
    return `id: ${id}\ndata: ${type ?? ''}${json}\n\n`;
  },
  end: ({ status, reason }) => `data: ${status} ${reason}\n\n`,
  nothing: () => new HttpException({ error: 'nothing' }, 404),
  after: ({ query }) =>
    query.after === undefined ? undefined : ({ json }) => Number(json) > Number(query.after),
};

/** Streams in the format of the AI SDK, and in one of the application. */
@Controller()
export class FormatsController {
  constructor(private readonly streams: SseStreams) {}

  @Post('ai/:id')
  @SseStream({ format: 'ai-ui' })
  start(@Param('id') id: string) {
    return this.streams.start(id, (out) => void out.write({ type: 'start' }));
  }

  /** Each answer tells who has asked. */
  @Post('asked/:id/:by')
  @SseStream({ format: 'ai-ui' })
  ask(@Param('id') id: string, @Param('by') by: string) {
    const producer = async (out: SseStreamWriter, signal: AbortSignal) => {
      out.write({ type: 'start', messageId: by });
      await sleep(20, undefined, { signal }).catch(() => undefined);
    };
    return this.streams.start(id, producer, { replace: true });
  }

  @Get('ai/:id')
  @SseStream({ format: 'ai-ui' })
  chunks(@Param('id') id: string) {
    return this.streams.attach(id);
  }

  @Get('numbers/:id')
  @SseStream({ format: numbers })
  numbers(@Param('id') id: string) {
    return this.streams.attach(id);
  }

  @Get('wrong/:id')
  @SseStream({ format: { ...numbers, nothing: () => undefined as unknown as HttpException } })
  wrong(@Param('id') id: string) {
    return this.streams.attach(id);
  }

  @Get('expected/:id')
  @SseStream({ format: 'ai-ui' })
  expected(@Param('id') id: string) {
    return this.streams.attach(id, { expected: true });
  }
}

/** A node with the routes of `FormatsController`. */
export const startFormats = async (platform: Platform, options: SseModuleOptions) => {
  const imports = [SseModule.forRoot({ heartbeatMs: 1_000, retryMs: 100, ...options })];
  const { app, url } = await startApp(platform, { imports, controllers: [FormatsController] });
  return { app, url, streams: app.get(SseStreams) };
};
