import { Body, Controller, Get, type MessageEvent, Post, Query, Res, Sse } from '@nestjs/common';
import { heartbeat, LastEventId, type PublishOptions, SseChannel, SseService } from 'nestjs-sse-channels';
import type { Observable } from 'rxjs';

/** These routes let anyone read and write any channel: fit for a demonstration, and for nothing else. */
@Controller()
export class AppController {
  constructor(private readonly sse: SseService) {}

  @Sse('sse')
  stream(
    @Query('channel') channel: string | string[] = 'sse',
    @LastEventId() lastEventId?: string,
  ): Observable<MessageEvent> {
    return this.sse.messages(channel, { lastEventId }).pipe(heartbeat());
  }

  @SseChannel('channel')
  channel(@Query('channel') channel: string | string[] = 'sse') {
    return channel;
  }

  @Post('publish')
  async publish(@Body() body?: PublishOptions & { data?: unknown }) {
    const { data, ...options } = body ?? {};
    return { id: await this.sse.publish(data, options) };
  }

  @Get('health')
  health(@Res({ passthrough: true }) response: { status(code: number): unknown }) {
    const stats = this.sse.stats();
    const isReady = stats.connected && !stats.draining;
    response.status(isReady ? 200 : 503);
    return { status: isReady ? 'ok' : 'unavailable', ...stats };
  }
}
