import { describe, expect, it } from '@jest/globals';
import { filter, firstValueFrom, map, scan, takeWhile, toArray } from 'rxjs';
import { fromSse } from '../src/client/rxjs.js';
import { platforms } from './support/app.js';
import { ChannelController } from './support/channel.controller.js';
import { connected, startNode } from './support/recipe-node.js';
import { randomPrefix } from './support/redis.js';
import { until } from './support/until.js';

describe('fromSse() of an application', () => {
  it.each(platforms)('delivers each event once, over several connections: %s', async (...[, platform]) => {
    const node = await startNode(platform, { prefix: randomPrefix(), controllers: [ChannelController] });
    const seen: number[] = [];
    const numbers = fromSse<number>(`${node.relay.url}/channel?channel=numbers`).pipe(
      filter(({ type }) => type === 'number'),
      map(({ data }) => data),
      takeWhile((n) => seen.push(n) < 5, true),
      scan((sum, n) => sum + n, 0),
      toArray(),
    );
    const sums = firstValueFrom(numbers);
    const publish = (data: number) => node.sse.publish(data, { channel: 'numbers', type: 'number' });
    await connected([node]);
    await publish(1);
    await until(() => seen.length === 1);
    node.relay.cut();
    await Promise.all([2, 3, 4].map(publish));
    await until(() => seen.length === 4);
    await publish(5);
    expect(await sums).toEqual([1, 3, 6, 10, 15]);
    await until(() => node.sse.stats().connections === 0);
    // After an aborted request, Node's `fetch` opens a connection without one, for which Fastify would wait.
    node.relay.close();
  });
});
