import { describe, expect, it } from '@jest/globals';
import { collect, type CollectOptions } from 'nestjs-sse-channels/testing';
import { platforms } from './support/app.js';
import { createCollectApp, expectClosed, pathOf } from './support/collect-app.js';

describe.each(platforms)('collect() on %s', (_, platform) => {
  const start = () => createCollectApp(platform());

  it.each<[options: object | null, message: string]>([
    [null, 'Expected `options` to be an object, got null'],
    [[], 'Expected `options` to be an object, got an array'],
    [Promise.resolve({ count: 1 }), 'Expected `options` to be an object, got a Promise'],
    [new Map([['count', 1]]), 'Expected `options` to be an object, got a Map'],
    [Object.create({ counts: 1 }) as object, 'got `counts`'],
    [
      { counts: 1 },
      'Expected one of the options count, until, lastEventId, headers, timeoutMs, whenOpen, got `counts`',
    ],
    [{ toString: 1 }, 'got `toString`'],
    [{ count: 0 }, 'Expected `count` to be a whole number, 1 and more, got 0'],
    [{ count: 1.5 }, 'got 1.5'],
    [{ count: '1' }, 'got "1"'],
    [{ count: undefined }, 'Expected `count` to be a whole number, 1 and more, got undefined'],
    [{ until: undefined }, 'Expected `until` to be a function, got undefined'],
    [{ until: true }, 'got true'],
    [
      { lastEventId: undefined },
      'Expected `lastEventId` to be an event id: a text without line breaks, not empty',
    ],
    [{ lastEventId: '' }, 'got ""'],
    [{ lastEventId: 'a\nb' }, 'got "a\\nb"'],
    [{ lastEventId: 7 }, 'got 7'],
    [{ headers: undefined }, 'Expected `headers` to be an object or a Headers, got undefined'],
    [{ headers: ['x'] }, 'Expected `headers` to be an object or a Headers, got an array'],
    [{ headers: new Map([['authorization', 'x']]) }, 'got a Map'],
    [{ headers: Promise.resolve({ authorization: 'x' }) }, 'got a Promise'],
    [
      { headers: { authorization: undefined } },
      'Expected `headers.authorization` to be a text, got undefined',
    ],
    [{ timeoutMs: 0 }, 'Expected `timeoutMs` to be a whole number of milliseconds, 1–600000, got 0'],
    [{ timeoutMs: 600_001 }, 'got 600001'],
    [{ timeoutMs: undefined }, 'got undefined'],
    [{ whenOpen: undefined }, 'Expected `whenOpen` to be a function, got undefined'],
  ])('checks its options before it connects: %j', async (options, message) => {
    const { app } = await start();
    const collecting = collect(app, '/orders/7', options as CollectOptions);
    await expect(collecting).rejects.toMatchObject({
      code: 'SSE_INPUT',
      message: expect.stringContaining(message),
    });
    expect(app.getHttpServer()).toMatchObject({ listening: false });
  });

  it('rejects a wrong path and an invalid header', async () => {
    const { app } = await start();
    const wrong = collect(app, 'orders/7');
    await expect(wrong).rejects.toThrow(
      'Expected `path` to be a path such as /orders/7/events, got "orders/7"',
    );
    await expect(collect(app, 7 as unknown as string)).rejects.toThrow('got 7');
    await expect(collect(app, '/orders/7', { headers: { x: 'a\nb' } })).rejects.toThrow('Invalid character');
  });

  it('rejects an async `until`', async () => {
    const { app } = await start();
    const wrong = { until: (async () => false) as unknown as () => boolean };
    const message = 'Expected `until` to be a function that is not async, got a function';
    await expect(collect(app, pathOf('data: 1\n\n'), wrong)).rejects.toMatchObject({
      code: 'SSE_INPUT',
      message,
    });
    await expectClosed(app);
  });
});
