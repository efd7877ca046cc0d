import { describe, expect, it } from '@jest/globals';
import { numbers, publishing } from './support/publishing.js';
import { until } from './support/until.js';

/** Each event is stored once, although replies get lost. */
describe('Publishing to Redis when replies are lost', () => {
  const { redis, start, publish, publishAll, entries, stored } = publishing();
  /** A busy machine may need longer than a second to store thousands of events. The broker then retries the rest. */
  const secondLater = () => {
    const begun = performance.now();
    return () => performance.now() - begun > 1_000;
  };
  /** Closes all connections after the next reply to a script call was lost. */
  const loseReplies = (times = 1) => {
    redis.proxy.onUp = (chunk) => {
      if (times <= 0 || !/\beval(sha)?\b/i.test(chunk.toString('latin1'))) return;
      times--;
      redis.proxy.dropDown = true;
      setTimeout(() => {
        redis.proxy.cut();
        redis.proxy.dropDown = false;
      }, 50);
    };
  };

  it('stores an event once when the reply is lost, and returns its id', async () => {
    const broker = await start();
    await publish(broker, 0);
    loseReplies();
    const id = await publish(broker, 1);
    expect(await entries()).toEqual([expect.any(String), id]);
  });

  it('stores each event once, in the order of the calls, when replies are lost again and again', async () => {
    const broker = await start();
    loseReplies(4);
    const calls: Promise<string>[] = [];
    for (let n = 0; n < 600; n++) {
      calls.push(publish(broker, n), publish(broker, n, { channel: 'b', id: `own${n}` }));
      if (n % 5 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    }
    const ids = await Promise.all(calls);
    expect(await stored()).toEqual(numbers(600));
    expect(await stored('b')).toEqual(numbers(600));
    expect(await entries()).toEqual(ids.filter((_, n) => n % 2 === 0));
    expect(ids.filter((_, n) => n % 2 === 1)).toEqual(numbers(600).map((n) => `own${n}`));
  });

  it('looks up more than a thousand publications whose replies were lost, and stores none of them twice', async () => {
    const broker = await start();
    await publish(broker, 'first');
    redis.proxy.dropDown = true;
    const calls = numbers(1_200).map((n) => publish(broker, n));
    const isTime = secondLater();
    await until(async () => (await redis.admin.xlen('sse:{a}:history')) === 1_201 || isTime());
    redis.proxy.cut();
    redis.proxy.dropDown = false;
    const outcomes = await Promise.allSettled(calls);
    const ids = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []));
    // On a busy machine the broker rejects some of them after 4.5 s.
    expect(ids.length).toBeGreaterThan(0);
    const known = new Set(ids);
    expect(ids).toEqual((await entries()).filter((id) => known.has(id)));
    const data = new Set((await stored()).slice(1));
    expect((await stored()).slice(1)).toEqual(numbers(1_200).filter((n) => data.has(n)));
    for (const [n, outcome] of outcomes.entries()) {
      if (outcome.status === 'rejected') expect(outcome.reason.mayBePublished || !data.has(n)).toBe(true);
    }
  });

  it('finds an event behind more than a page of those that another publisher has stored since', async () => {
    const [broker, other] = [await start(), await start(redis.server.url)];
    await publish(broker, 'first');
    redis.proxy.dropDown = true;
    const id = publish(broker, 'lost');
    await until(async () => (await stored()).includes('lost'));
    await publishAll(other, 0, 1_200);
    redis.proxy.cut();
    redis.proxy.dropDown = false;
    expect(await id).toBe((await entries())[1]);
    expect((await stored()).filter((data) => data === 'lost')).toHaveLength(1);
  });

  it.each([999, 1_000, 1_001])(
    'publishes a lost event after it has searched %s newer ones for it',
    async (count) => {
      const [broker, other] = [await start(), await start(redis.server.url)];
      redis.proxy.dropUp = true;
      const id = publish(broker, 'lost');
      await publishAll(other, 0, count);
      redis.proxy.cut();
      redis.proxy.dropUp = false;
      expect(await id).toBe((await entries()).at(-1));
    },
  );

  it('publishes to another channel while it looks up lost publications in a thousand channels', async () => {
    const broker = await start();
    await publish(broker, 0);
    redis.proxy.dropDown = true;
    const channels = Array.from({ length: 1_000 }, (_, n) => `many${n}`);
    const calls = channels.map((channel) => publish(broker, 1, { channel }));
    const isTime = secondLater();
    await until(async () => (await redis.admin.dbsize()) >= 2_000 || isTime());
    redis.proxy.cut();
    redis.proxy.dropDown = false;
    const elsewhere = publish(broker, 2, { channel: 'elsewhere' });
    const outcomes = await Promise.allSettled(calls);
    expect(outcomes.some(({ status }) => status === 'fulfilled')).toBe(true);
    for (const [n, outcome] of outcomes.entries()) {
      const ids = await entries(`many${n}`);
      if (outcome.status === 'fulfilled') expect(ids).toEqual([outcome.value]);
      else expect(ids.length).toBeLessThanOrEqual(outcome.reason.mayBePublished ? 1 : 0);
    }
    expect(await entries('elsewhere')).toEqual([await elsewhere]);
  });
});
