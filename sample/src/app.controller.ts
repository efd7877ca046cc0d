import {
  Body,
  Controller,
  ForbiddenException,
  Get,
  type MessageEvent,
  Post,
  Query,
  Res,
  Sse,
  UseGuards,
} from '@nestjs/common';
import { heartbeat, LastEventId, type PublishOptions, SseChannel, SseService } from 'nestjs-sse-channels';
import type { Observable } from 'rxjs';
import { JsonOnly } from './json-only.guard.js';
import { isRecordChannel } from './records.controller.js';

/** Records are read through their own routes, which check the reader. @throws ForbiddenException */
function open<T>(channel: T): T {
  if ([channel].flat().some(isRecordChannel)) throw new ForbiddenException();
  return channel;
}

/** Everyone may read and write all channels except those of records. That suits a demonstration, and nothing else. */
@Controller()
export class AppController {
  constructor(private readonly sse: SseService) {}

  @Sse('sse')
  stream(
    @Query('channel') channel: string | string[] = 'sse',
    @LastEventId() lastEventId?: string,
  ): Observable<MessageEvent> {
    return this.sse.messages(open(channel), { lastEventId }).pipe(heartbeat());
  }

  @SseChannel('channel')
  channel(@Query('channel') channel: string | string[] = 'sse') {
    return open(channel);
  }

  @Post('publish')
  @UseGuards(JsonOnly)
  async publish(@Body() body?: PublishOptions & { data?: unknown }) {
    const { data, ...options } = body ?? {};
    open(options.channel);
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
