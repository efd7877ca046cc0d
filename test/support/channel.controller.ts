import { Controller, type MessageEvent, Query, Sse } from '@nestjs/common';
import { heartbeat, LastEventId, SseChannel, SseService } from 'nestjs-sse-channels';
import type { Observable } from 'rxjs';

/** Both ways to serve channels, and a filter. */
@Controller()
export class ChannelController {
  constructor(private readonly sse: SseService) {}

  @Sse('sse')
  messages(
    @Query('channel') channel: string | string[] = 'sse',
    @LastEventId() lastEventId?: string,
  ): Observable<MessageEvent> {
    return this.sse.messages(channel, { lastEventId }).pipe(heartbeat(1_000));
  }

  @SseChannel('channel')
  channel(@Query('channel') channel: string | string[] = 'sse') {
    return channel;
  }

  @SseChannel('even')
  async even() {
    return { channel: 'numbers', filter: ({ data }: { data: unknown }) => Number(data) % 2 === 0 };
  }
}
