import { Controller, Get, Param, Post } from '@nestjs/common';
import {
  SseModule,
  type SseModuleOptions,
  SseService,
  SseStream,
  SseStreams,
  type SseStreamStartOptions,
  type SseStreamWriter,
} from 'nestjs-sse-channels';
import { type Platform, startApp } from './app.js';
import { randomPrefix, redisUrl } from './redis.js';

/** A route that starts a stream, one that any reader attaches to, and one that stops it. */
@Controller()
export class StreamsController {
  constructor(private readonly streams: SseStreams) {}

  @Post('count/:id')
  @SseStream()
  count(@Param('id') id: string) {
    return this.streams.start(id, async (out) => {
      for (let n = 0; n < 5; n++) out.write(n);
    });
  }

  @Get('streams/:id')
  @SseStream()
  watch(@Param('id') id: string) {
    return this.streams.attach(id);
  }

  @Post('streams/:id/stop')
  stop(@Param('id') id: string) {
    return this.streams.abort(id);
  }
}

/** Where streams are stored: each node of a world gets the same options. */
export const stores = [
  ['in memory', () => ({})],
  ['on Redis', () => ({ redis: redisUrl(), prefix: randomPrefix() })],
] as const satisfies readonly (readonly [string, () => SseModuleOptions])[];

/** A node with the routes of `StreamsController`. */
export async function startNode(platform: Platform, options: SseModuleOptions = {}) {
  const imports = [SseModule.forRoot({ heartbeatMs: 1_000, retryMs: 100, ...options })];
  const { app, url } = await startApp(platform, { imports, controllers: [StreamsController] });
  return { app, url, streams: app.get(SseStreams), sse: app.get(SseService) };
}

/** Starts a stream whose producer ends when the test says so. */
export async function startHeld(streams: SseStreams, id: string, options: SseStreamStartOptions = {}) {
  let release!: () => void;
  const held = new Promise<void>((resolve) => (release = resolve));
  let out!: SseStreamWriter;
  const handle = await streams.start(
    id,
    async (writer, signal) => {
      out = writer;
      await Promise.race([held, new Promise((resolve) => signal.addEventListener('abort', resolve))]);
    },
    options,
  );
  return { handle, out, release };
}
