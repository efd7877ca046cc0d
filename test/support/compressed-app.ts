import { randomBytes } from 'node:crypto';
import { Controller, Get, Header, type INestApplication, Post, Query } from '@nestjs/common';
import {
  SseChannel,
  SseModule,
  type SseModuleOptions,
  SseService,
  SseStream,
  SseStreams,
} from 'nestjs-sse-channels';
import { type Platform, startApp } from './app.js';

/** Data as applications have it: other values in each event, of about `bytes` bytes as JSON. */
export function orderOf(number: number, bytes: number): object {
  const item = () => ({ sku: randomBytes(4).toString('hex'), title: 'Käsekuchen 🍰', price: Math.random() });
  const items: object[] = [];
  for (let length = 40; length < bytes; length += JSON.stringify(items.at(-1)).length + 1) items.push(item());
  return { number, state: 'paid', items };
}

@Controller()
class CompressedController {
  constructor(private readonly streams: SseStreams) {}

  @SseChannel('channel')
  channel(@Query('channel') channel: string | string[] = 'sse') {
    return channel;
  }

  @SseChannel('secret')
  @Header('Content-Encoding', 'identity')
  secret() {
    return 'sse';
  }

  @SseChannel('encoded')
  @Header('Content-Encoding', 'br')
  encoded() {
    return 'sse';
  }

  @SseChannel('varied')
  @Header('Vary', 'Cookie')
  varied() {
    return 'sse';
  }

  @Post('count')
  @SseStream()
  count(@Query('id') id: string) {
    return this.streams.start(id, (out) => {
      for (let n = 0; n < 50; n++) out.write(orderOf(n, 200));
    });
  }

  @Get('streams')
  @SseStream()
  stream(@Query('id') id: string) {
    return this.streams.attach(id);
  }

  @Get('chunks')
  @SseStream({ format: 'ai-ui' })
  chunks(@Query('id') id: string) {
    return this.streams.attach(id);
  }

  /** Without it, a proxy counts the application as down after two checks. */
  @Get('health')
  health() {
    return { status: 'ok' };
  }

  @Get('page')
  @Header('Content-Type', 'text/html')
  page() {
    return `<!doctype html><link rel="icon" href="data:,">${' '.repeat(2_000)}`;
  }
}

/** An application with compression, and routes for channels and streams. */
export async function startCompressed(
  platform: Platform,
  options: SseModuleOptions = { compression: { minBytes: 200 } },
  configure?: (app: INestApplication) => void,
) {
  const metadata = { imports: [SseModule.forRoot(options)], controllers: [CompressedController] };
  const { app, url } = await startApp(platform, metadata, configure);
  return { app, url, sse: app.get(SseService), streams: app.get(SseStreams) };
}
