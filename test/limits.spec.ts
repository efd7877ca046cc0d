import { describe, expect, it, jest } from '@jest/globals';
import { Controller, Logger, Query, Sse } from '@nestjs/common';
import { type SseLimits, SseChannel, SseModule, SseService } from 'nestjs-sse-channels';
import { platforms, startApp } from './support/app.js';
import { connect } from './support/client.js';
import { until } from './support/until.js';

@Controller()
class ChannelController {
  constructor(private readonly sse: SseService) {}

  @SseChannel('channel')
  channel(@Query('channel') channel: string, @Query('user') user?: string) {
    return { channel, user };
  }

  @Sse('sse')
  events(@Query('channel') channel: string, @Query('user') user?: string) {
    return this.sse.messages(channel, { user });
  }
}

describe.each(platforms)('A limit on %s', (_, platform) => {
  const start = async (limits: SseLimits) => {
    const { app, url } = await startApp(platform, {
      imports: [SseModule.forRoot({ limits })],
      controllers: [ChannelController],
    });
    return { sse: app.get(SseService), url };
  };

  it.each<[keyof SseLimits, string[], string]>([
    ['connections', ['channel?channel=a', 'sse?channel=b&user=u'], 'channel?channel=c'],
    ['connectionsPerUser', ['channel?channel=a&user=u', 'sse?channel=a&user=u'], 'channel?channel=a&user=u'],
    ['connectionsPerAddress', ['channel?channel=a', 'channel?channel=b'], 'channel?channel=b&user=u'],
    ['channels', ['channel?channel=a', 'sse?channel=b'], 'channel?channel=c'],
  ])('of %s refuses further connections, whose clients retry', async (name, open, more) => {
    const warned = jest.spyOn(Logger.prototype, 'warn').mockReturnValue(undefined);
    const { sse, url } = await start({ [name]: open.length });
    const first = await Promise.all(open.map((path) => connect(`${url}/${path}`)));
    await until(() => sse.connections().length === open.length);
    for (let n = 0; n < 2; n++) {
      const refused = await connect(`${url}/${more}`);
      await until(() => refused.ended);
      expect([refused.status, refused.headers['content-type'], refused.events]).toEqual([
        200,
        'text/event-stream; charset=utf-8',
        [],
      ]);
      const retry = Number(/retry: (\d+)\n$/.exec(refused.text)?.[1]);
      expect(retry).toBeGreaterThanOrEqual(10_000);
      expect(retry).toBeLessThanOrEqual(15_000);
    }
    expect(sse.stats().refused).toBe(2);
    expect(warned.mock.calls).toEqual([[expect.stringContaining(`(limits.${name})`)]]);
    warned.mockRestore();

    await sse.publish('to all', { channel: 'a' });
    await until(() => first[0]!.text.includes('to all'));
    // A connection on an already subscribed channel needs no further channel.
    if (name === 'channels')
      expect((await (await connect(`${url}/channel?channel=a`)).next()).event).toBe('sse.open');
    for (const client of first) client.close();
    await until(() => sse.connections().length === (name === 'channels' ? 1 : 0));
    if (name !== 'channels') expect((await (await connect(`${url}/${more}`)).next()).event).toBe('sse.open');
  });

  it('of resumesPerSecond delays only clients that reconnect', async () => {
    const warned = jest.spyOn(Logger.prototype, 'warn').mockReturnValue(undefined);
    const { sse, url } = await start({ resumesPerSecond: 1 });
    const id = await sse.publish('first', { channel: 'a' });
    const resume = () => connect(`${url}/channel?channel=a`, { 'last-event-id': id });
    const clients = [];
    for (let n = 0; n < 8; n++) clients.push(await resume());
    // Five at once, and one for each second of the test.
    await until(() => sse.stats().refused > 0);
    expect(sse.connections().length).toBeGreaterThanOrEqual(5);
    expect(warned.mock.calls).toEqual([[expect.stringContaining('(limits.resumesPerSecond)')]]);
    warned.mockRestore();
    expect((await (await connect(`${url}/channel?channel=a`)).next()).event).toBe('sse.open');
    await until(async () => {
      const client = await resume();
      await sse.publish('next', { channel: 'a' });
      await until(() => client.ended || client.text.includes('next'));
      return !client.ended;
    });
  });

  it('without a value is the default', async () => {
    const { sse, url } = await start({ connections: undefined, connectionsPerUser: 1 });
    await connect(`${url}/channel?channel=a&user=1`);
    expect((await (await connect(`${url}/channel?channel=a&user=2`)).next()).event).toBe('sse.open');
    const late = await connect(`${url}/sse?channel=a&user=2`);
    await until(() => late.ended);
    expect(sse.stats().refused).toBe(1);
  });
});
