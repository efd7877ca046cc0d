import { get } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { Controller, type MessageEvent, Query, Sse, UseGuards } from '@nestjs/common';
import { describe, expect, it } from '@jest/globals';
import {
  ChannelGuard,
  fromQuery,
  GrantedChannels,
  LastEventId,
  SseChannel,
  SseGrant,
  SseModule,
  SseService,
} from 'nestjs-sse-channels';
import type { Observable } from 'rxjs';
import { CONTROL_CHANNEL, SseBroker } from '../src/broker/broker.js';
import { RedisSseBroker } from '../src/broker/redis/redis.broker.js';
import { platforms, startApp } from './support/app.js';
import { connect } from './support/client.js';
import { moduleOnRedis } from './support/module-on-redis.js';
import { until } from './support/until.js';

@Controller()
class FirstVisitController {
  constructor(private readonly sse: SseService) {}

  @Sse('guarded')
  @UseGuards(ChannelGuard(['news{n}'], fromQuery))
  guarded(@GrantedChannels() granted: SseGrant): Observable<MessageEvent> {
    return this.sse.messages(granted);
  }

  @Sse('position')
  async position(@Query('channel') channel: string, @LastEventId() lastEventId?: string) {
    return this.sse.messages(channel, { lastEventId: lastEventId ?? (await this.sse.position(channel)) });
  }

  @SseChannel('channel')
  channel(@Query('channel') channel: string) {
    return channel;
  }
}

/** Reads of the control channel take 300 ms. */
class SlowControlBroker extends RedisSseBroker {
  override async read(...args: Parameters<RedisSseBroker['read']>): ReturnType<RedisSseBroker['read']> {
    if (args[0] === CONTROL_CHANNEL) await sleep(300);
    return super.read(...args);
  }
}

/** A client without a last event id, on a node that is not subscribed to its channel yet. */
describe.each(platforms)('A first visit on %s', (_, platform) => {
  const { redis, start } = moduleOnRedis();

  it.each(['guarded', 'position', 'channel'])(
    'gets every event that is published after the response headers: /%s',
    async (route) => {
      const publisher = await start();
      const imports = [SseModule.forRoot(redis.server.url)];
      const { url } = await startApp(platform, { imports, controllers: [FirstVisitController] });
      for (let n = 0; n < 20; n++) {
        const channel = `news${n}`;
        const client = await connect(`${url}/${route}?channel=${channel}`);
        await publisher.publish('first', { channel });
        await until(() => client.events.some(({ data }) => data === 'first'));
        client.close();
      }
      expect(publisher.stats().published).toBe(20);
    },
  );

  it('gets every event, also while its node reads earlier disconnections', async () => {
    const publisher = await start();
    const imports = [SseModule.forRoot(redis.server.url)];
    const { url } = await startApp(
      platform,
      { imports, controllers: [FirstVisitController] },
      undefined,
      (builder) =>
        builder.overrideProvider(SseBroker).useValue(new SlowControlBroker(redis.server.url, 'sse:')),
    );
    const client = await connect(`${url}/guarded?channel=news0`);
    await publisher.publish('first', { channel: 'news0' });
    await until(() => client.events.some(({ data }) => data === 'first'));
    expect(client.events).toHaveLength(1);
  });

  it('takes no more channels than the limit allows, and frees those of a client that has left', async () => {
    const options = { redis: redis.server.url, limits: { channels: 5, connections: 3 } };
    const imports = [SseModule.forRoot(options)];
    const { app, url } = await startApp(platform, { imports, controllers: [FirstVisitController] });
    for (let n = 0; n < 20; n++) {
      const client = await connect(`${url}/guarded?channel=news${n}`);
      expect(app.get(SseService).stats().channels).toBeLessThanOrEqual(5);
      client.close();
    }
    await redis.server.stop();
    const leaving = Array.from({ length: 5 }, (__, n) =>
      get(`${url}/guarded?channel=news${100 + n}`, { agent: false }).on('error', () => undefined),
    );
    await until(() => app.get(SseService).stats().channels === 5);
    for (const request of leaving) request.destroy();
    await until(() => {
      const events = app.get(SseService).events('mine');
      const isAccepted = app.get(SseService).stats().connections === 1;
      void events.return!();
      return isAccepted;
    });
  });
});
