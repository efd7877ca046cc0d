import { describe, expect, it, jest } from '@jest/globals';
import type { Type } from '@nestjs/common';
import type { EventSourceMessage } from 'eventsource-parser';
import { platforms } from '../support/app.js';
import { startNode } from '../support/recipe-node.js';
import { moduleOf } from '../support/recipes.js';
import { randomPrefix } from '../support/redis.js';
import { until } from '../support/until.js';

type Handle = (event: EventSourceMessage) => Promise<void>;
type Follow = (
  ...args: [url: string, token: string, lastId: string, handle: Handle, stop: AbortSignal]
) => Promise<number | undefined>;

describe.each(platforms)('The recipe server-to-server.md, with %s,', (_, platform) => {
  it('handles each event once through broken connections, a failing handler and a restart, and ends with a 403', async () => {
    const { FeedController } = await moduleOf<{ FeedController: Type }>('server-to-server.md');
    const { follow } = await moduleOf<{ follow: Follow }>('server-to-server.md', 1);
    const members: { id?: string } = { id: 'service' };
    const options = { prefix: randomPrefix(), controllers: [FeedController], user: members };
    const { relay, sse } = await startNode(platform, options);
    const publish = (...numbers: number[]) =>
      Promise.all(numbers.map((n) => sse.publish(n, { channel: 'orders' })));
    const stored = { id: '', numbers: [] as number[], resets: 0 };
    let failures = 0;
    const handle = async ({ id, event, data }: EventSourceMessage) => {
      if (data === '5' && failures++ === 0) throw new Error('The database is down');
      if (event === 'sse.reset') stored.resets++;
      if (event === undefined) stored.numbers.push(Number(data));
      stored.id = id ?? stored.id;
    };
    const logged = jest.spyOn(console, 'error').mockImplementation(() => undefined);
    const run = () => {
      const stop = new AbortController();
      return { stop, ended: follow(`${relay.url}/feed`, 'secret', stored.id, handle, stop.signal) };
    };

    const first = run();
    await until(() => stored.id !== '');
    await publish(1, 2);
    await until(() => stored.numbers.length === 2);
    relay.cut();
    await publish(3, 4, 5, 6);
    await until(() => stored.numbers.length === 6);
    first.stop.abort();
    expect(await first.ended).toBeUndefined();
    await publish(7, 8);
    const second = run();
    await until(() => stored.numbers.length === 8);
    expect(stored).toMatchObject({ numbers: [1, 2, 3, 4, 5, 6, 7, 8], resets: 0 });
    expect(failures).toBe(2);
    expect(relay.heads[0]).toContain('authorization: Bearer secret');
    expect(relay.heads.at(-1)).toMatch(/^last-event-id: \d/m);
    expect(logged).toHaveBeenCalledWith(expect.objectContaining({ message: 'The database is down' }));
    members.id = undefined;
    relay.cut();
    expect(await second.ended).toBe(403);
    logged.mockRestore();
  });
});
