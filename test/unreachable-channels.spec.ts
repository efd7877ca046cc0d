import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Controller, Query, Sse } from '@nestjs/common';
import { Redis } from 'ioredis';
import { heartbeat, LastEventId, SseChannel, SseModule, SseService } from 'nestjs-sse-channels';
import { platforms, startApp } from './support/app.js';
import { connect } from './support/client.js';
import { watchLog } from './support/log.js';
import { adminUrl, randomPrefix, redisUrl } from './support/redis.js';
import { until } from './support/until.js';

@Controller()
class ChannelsController {
  constructor(private readonly sse: SseService) {}

  @SseChannel('channels')
  channels(@Query('channel') channels: string[]) {
    return channels;
  }

  @Sse('messages')
  messages(@Query('channel') channels: string[], @LastEventId() lastEventId?: string) {
    return this.sse.messages(channels, { lastEventId }).pipe(heartbeat());
  }
}

describe.each(platforms)('A connection with a channel that cannot be read, on %s', (_, platform) => {
  let admin: Redis;
  watchLog();
  beforeEach(() => {
    admin = new Redis(adminUrl());
  });
  afterEach(() => admin.disconnect());

  it.each(['channels', 'messages'])(
    'begins without it, and adds it to the position as soon as it can be read (/%s)',
    async (route) => {
      const prefix = randomPrefix();
      const { app, url } = await startApp(platform, {
        imports: [SseModule.forRoot({ redis: redisUrl(), prefix })],
        controllers: [ChannelsController],
      });
      const sse = app.get(SseService);
      const path = `${url}/${route}?channel=a&channel=b`;
      // The script fails on a key of another type.
      await admin.set(`${prefix}{b}:history`, 'no stream');
      const client = await connect(path);
      if (route === 'channels') {
        expect(await client.next()).toMatchObject({ event: 'sse.open', data: '{"channel":"a"}' });
      }
      await until(async () => {
        await sse.publish('of a', { channel: 'a' });
        return client.events.at(-1)?.data === 'of a';
      });
      await admin.del(`${prefix}{b}:history`);
      let position;
      do position = await client.next();
      while (position.event !== 'sse.position');
      expect(position.data).toBe('{"channel":"b"}');
      client.close();
      await sse.publish('of b', { channel: 'b' });
      const again = await connect(path, { 'last-event-id': position.id! });
      expect(await again.next()).toMatchObject({ event: undefined, data: 'of b' });
      again.close();
    },
  );
});
