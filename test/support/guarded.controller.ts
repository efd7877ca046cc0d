import { Controller, Sse, UseGuards } from '@nestjs/common';
import {
  ChannelGuard,
  fromQuery,
  GrantedChannels,
  SseChannel,
  type SseGrant,
  SseService,
} from 'nestjs-sse-channels';

/** A route of each kind that checks the origin of requests. */
@Controller()
export class GuardedController {
  constructor(private readonly sse: SseService) {}

  @SseChannel('channel')
  channel() {
    return 'news';
  }

  @Sse('guarded')
  @UseGuards(ChannelGuard(['news'], fromQuery))
  messages(@GrantedChannels() granted: SseGrant) {
    return this.sse.messages(granted);
  }
}
