import { Test } from '@nestjs/testing';
import { afterEach, beforeEach, expect } from '@jest/globals';
import { type SseEvent, SseModule, type SseModuleOptions, SseService } from 'nestjs-sse-channels';
import { until } from './until.js';

/** Subscribes to the channels `sse` and `news` of a new module before each test. */
export function useNewsSubscriber(options: () => SseModuleOptions) {
  let sse: SseService;
  let close: () => Promise<void>;
  let received: SseEvent[];

  beforeEach(async () => {
    const module = await Test.createTestingModule({ imports: [SseModule.forRoot(options())] }).compile();
    sse = module.get(SseService);
    close = () => module.close();
    received = [];
    let isLive = false;
    sse.messages(['sse', 'news']).subscribe((event) => {
      if (event.data === 'live') isLive = true;
      else received.push(event);
    });
    await until(async () => {
      await sse.publish('live', { channel: 'news', transient: true });
      return isLive;
    });
  });
  afterEach(() => close());

  return {
    sse: () => sse,
    received: () => received,
    /** Publishes an event, and expects that the subscriber gets no other before it. */
    expectNothingPublished: async () => {
      await sse.publish('last', { channel: 'news' });
      await until(() => received.length > 0);
      expect(received.map(({ data }) => data)).toEqual(['last']);
    },
  };
}
