import { beforeEach } from '@jest/globals';
import { SseModule, type SseModuleOptions, SseService } from 'nestjs-sse-channels';
import { type Platform, startApp } from './app.js';
import { connect } from './client.js';
import { randomPrefix, redisUrl } from './redis.js';
import { ChannelController } from './channel.controller.js';

export const range = (from: number, to: number): number[] =>
  Array.from({ length: to - from }, (_, n) => from + n);

export const numbers = (events: { data: string }[]): number[] => events.map(({ data }) => Number(data));

/** Tests of resuming run on both. */
export const stores = [
  ['in memory', (): SseModuleOptions => ({})],
  ['on Redis', (): SseModuleOptions => ({ redis: redisUrl(), prefix: randomPrefix() })],
] as const;

export async function startNode(platform: Platform, options: SseModuleOptions) {
  const { app, url } = await startApp(platform, {
    imports: [SseModule.forRoot(options)],
    controllers: [ChannelController],
  });
  return { sse: app.get(SseService), url };
}

/** Connects with a last event id. */
export const resume = (url: string, id: string, channel = 'sse', route = 'channel') =>
  connect(`${url}/${route}?channel=${channel}`, { 'last-event-id': id });

/** Gives each test a node with its own store. To be called within a `describe()`. */
export function resuming(platform: Platform, optionsOf: () => SseModuleOptions) {
  const node = {} as { options: SseModuleOptions; sse: SseService; url: string };
  beforeEach(async () => {
    const options = optionsOf();
    Object.assign(node, { options, ...(await startNode(platform, options)) });
  });
  const publish = (from: number, to: number, channel = 'sse') =>
    Promise.all(range(from, to).map((n) => node.sse.publish(n, { channel })));
  return { node, publish };
}
