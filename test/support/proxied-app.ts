import { Controller, Get, Injectable, ServiceUnavailableException } from '@nestjs/common';
import { SseModule, type SseModuleOptions, SseService } from 'nestjs-sse-channels';
import { type Platform, startApp } from './app.js';
import { ChannelController } from './channel.controller.js';

/** A proxy that buffers an event sends it with the next heartbeat, after 15 s. */
export const AT_ONCE_MS = 10_000;
/** How long a test checks that no event occurs. */
export const WATCH_MS = 1_000;

/** The health that `/health` reports, and how often a proxy asked for it. */
@Injectable()
class Health {
  ok = true;
  asked = 0;
}

@Controller('health')
class HealthController {
  constructor(private readonly health: Health) {}

  @Get()
  get() {
    this.health.asked++;
    if (!this.health.ok) throw new ServiceUnavailableException();
    return { status: 'ok', padding: ' '.repeat(1_000) };
  }
}

/** Starts an application for tests to put behind a proxy. */
export const start = async (platform: Platform, options: SseModuleOptions = {}) => {
  const metadata = {
    imports: [SseModule.forRoot(options)],
    controllers: [ChannelController, HealthController],
    providers: [Health],
  };
  const { app, url } = await startApp(platform, metadata);
  return { sse: app.get(SseService), health: app.get(Health), url };
};
