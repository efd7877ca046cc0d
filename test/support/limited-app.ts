import { jest } from '@jest/globals';
import { Controller, type INestApplication, Logger, Param, Query, Sse } from '@nestjs/common';
import { ExpressAdapter, type NestExpressApplication } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { SseChannel, type SseLimits, SseModule, SseService } from 'nestjs-sse-channels';
import { type Platform, startApp } from './app.js';

@Controller()
class LimitedController {
  constructor(private readonly sse: SseService) {}

  @SseChannel('teams/:id', { allow: /team-\d+/ })
  team(@Param('id') id: string) {
    return `team-${id}`;
  }

  @SseChannel('channel')
  channel(@Query('channel') channel: string | string[] = 'sse') {
    return channel;
  }

  @Sse('sse')
  messages(@Query('channel') channel = 'sse') {
    return this.sse.messages(channel);
  }
}

/** Platforms that read the address of a client from `X-Forwarded-For`. */
export const trusting = [
  [
    'Express',
    () => new ExpressAdapter(),
    (app: INestApplication) => void (app as NestExpressApplication).set('trust proxy', true),
  ],
  ['Fastify', () => new FastifyAdapter({ trustProxy: true }), () => undefined],
] as const;

/** Starts an application with limits, and without its warnings. */
export async function startLimited(
  platform: Platform,
  limits: SseLimits,
  options: object = {},
  configure?: (app: INestApplication) => void,
) {
  jest.spyOn(Logger.prototype, 'warn').mockReturnValue(undefined);
  const metadata = {
    imports: [SseModule.forRoot({ ...options, limits })],
    controllers: [LimitedController],
  };
  const { app, url } = await startApp(platform, metadata, configure);
  return { app, url, sse: app.get(SseService) };
}
