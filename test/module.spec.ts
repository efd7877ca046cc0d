import { describe, expect, it } from '@jest/globals';
import { Global, Injectable, Module } from '@nestjs/common';
import { type SseEvent, SseModule, SseService } from 'nestjs-sse-channels';
import { Config, ConfigModule } from './support/module-config.js';
import { compileModule } from './support/nest-module.js';
import { randomPrefix, redisUrl } from './support/redis.js';
import { until } from './support/until.js';

@Injectable()
class Feature {
  constructor(readonly sse: SseService) {}
}

@Module({ providers: [Feature] })
class FeatureModule {}

describe('SseModule', () => {
  const works = async (sse: SseService) => {
    const events: SseEvent[] = [];
    sse.messages().subscribe((event) => events.push(event));
    await until(async () => (await sse.publish('x'), events.length > 0));
  };

  it.each([
    ['forRoot()', () => SseModule.forRoot()],
    ['forRoot(url)', () => SseModule.forRoot(redisUrl())],
    ['forRoot(options)', () => SseModule.forRoot({ redis: redisUrl(), prefix: randomPrefix() })],
    [
      'forRootAsync with useFactory',
      () =>
        SseModule.forRootAsync({
          imports: [ConfigModule],
          inject: [Config],
          useFactory: async (config: Config) => config.createSseOptions(),
        }),
    ],
    ['forRootAsync with a factory of a URL', () => SseModule.forRootAsync({ useFactory: () => redisUrl() })],
    ['forRootAsync with useClass', () => SseModule.forRootAsync({ useClass: Config })],
    [
      'forRootAsync with useExisting',
      () => SseModule.forRootAsync({ imports: [ConfigModule], useExisting: Config }),
    ],
  ])('publishes and receives when configured by %s', async (_, create) => {
    const module = await compileModule({ imports: [create()] });
    await works(module.get(SseService));
  });

  it('is global: other modules inject SseService without importing it', async () => {
    const module = await compileModule({ imports: [SseModule.forRoot(), FeatureModule] });
    await works(module.get(Feature, { strict: false }).sse);
  });

  it('is not global if isGlobal is false', async () => {
    await expect(
      compileModule({ imports: [SseModule.forRoot({ isGlobal: false }), FeatureModule] }),
    ).rejects.toThrow(/resolve dependencies of the Feature/);
  });

  it('publishes in memory to subscribers that subscribed in the same turn', async () => {
    const sse = (await compileModule({ imports: [SseModule.forRoot()] })).get(SseService);
    const events: SseEvent[] = [];
    sse.messages().subscribe((event) => events.push(event));
    await sse.publish('at once');
    await until(() => events.length === 1);
    expect(Object.isFrozen(events[0])).toBe(true);
  });

  it('completes connections when it closes, and connections opened afterwards', async () => {
    const module = await compileModule({ imports: [SseModule.forRoot()] });
    const sse = module.get(SseService);
    const completed: string[] = [];
    sse.messages('a').subscribe({ complete: () => completed.push('a') });
    sse.messages(['b', 'c']).subscribe({ complete: () => completed.push('b and c') });
    await module.close();
    sse.messages('d').subscribe({ complete: () => completed.push('d') });
    expect(completed).toEqual(['a', 'b and c', 'd']);
    expect(sse.stats()).toMatchObject({ channels: 0, connections: 0 });
  });

  it.each([
    ['forRoot()', () => SseModule.forRoot({ isGlobal: undefined })],
    ['forRootAsync()', () => SseModule.forRootAsync({ useFactory: () => ({}), isGlobal: undefined })],
  ])('is global if isGlobal is undefined in %s', async (_, create) => {
    const module = await compileModule({ imports: [create(), FeatureModule] });
    await works(module.get(Feature, { strict: false }).sse);
  });

  it('does not start with two global modules that each export SseModule', async () => {
    const wrapper = (prefix: string) => {
      @Module({ imports: [SseModule.forRoot({ isGlobal: false, prefix })], exports: [SseModule] })
      class Inner {}
      @Global()
      @Module({ imports: [Inner], exports: [Inner] })
      class Outer {}
      return Outer;
    };
    const message = 'SseModule is imported more than once';
    await expect(compileModule({ imports: [wrapper('a'), wrapper('b')] })).rejects.toThrow(message);
    await expect(compileModule({ imports: [wrapper('a'), SseModule.forRoot()] })).rejects.toThrow(message);
    await works((await compileModule({ imports: [wrapper('a')] })).get(SseService, { strict: false }));
  });
});
