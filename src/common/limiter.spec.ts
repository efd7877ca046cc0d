import { describe, expect, it } from '@jest/globals';
import { Limiter } from './limiter.js';

describe('Limiter', () => {
  /** Tasks that run until the test ends them. */
  const start = (max: number) => {
    const limiter = new Limiter(max);
    const ran: string[] = [];
    const ends = new Map<string, () => void>();
    const run = (name: string, options = {}) =>
      limiter.run(
        () =>
          new Promise<string>((resolve) => {
            ran.push(name);
            ends.set(name, () => resolve(name));
          }),
        options,
      );
    const end = async (name: string) => {
      ends.get(name)!();
      await new Promise((resolve) => setImmediate(resolve));
    };
    return { limiter, ran, run, end };
  };

  it('runs a limited number of tasks, and queues the rest in order', async () => {
    const { limiter, ran, run, end } = start(2);
    const results = Promise.all(['a', 'b', 'c', 'd'].map((name) => run(name)));
    expect([ran, limiter.isBusy]).toEqual([['a', 'b'], true]);
    await end('b');
    await end('a');
    expect(ran).toEqual(['a', 'b', 'c', 'd']);
    await end('c');
    expect([limiter.isBusy, limiter.isIdle]).toEqual([false, false]);
    await end('d');
    expect([limiter.isIdle, await results]).toEqual([true, ['a', 'b', 'c', 'd']]);
  });

  it('runs the tasks of a lower number first', async () => {
    const { ran, run, end } = start(1);
    void run('first');
    for (const [name, priority] of [
      ['later', 2],
      ['soon', 1],
      ['at once', 0],
      ['soon, too', 1],
    ] as const) {
      void run(name, { priority });
    }
    for (const name of ['first', 'at once', 'soon', 'soon, too']) await end(name);
    expect(ran).toEqual(['first', 'at once', 'soon', 'soon, too', 'later']);
  });

  it('skips a task that is no longer needed, and continues with the next in the same turn', async () => {
    const { limiter, ran, run, end } = start(1);
    void run('first');
    let isWanted = true;
    const dropped = Array.from({ length: 3 }, (_, n) => run(`dropped ${n}`, { isWanted: () => isWanted }));
    void run('next', { isWanted: () => true });
    isWanted = false;
    await end('first');
    expect([ran, await Promise.all(dropped)]).toEqual([
      ['first', 'next'],
      [undefined, undefined, undefined],
    ]);
    await end('next');
    expect(limiter.isIdle).toBe(true);
  });

  it('starts the next task after one fails', async () => {
    const limiter = new Limiter(1);
    const failed = limiter.run(() => Promise.reject(new Error('This task fails')));
    const next = limiter.run(() => Promise.resolve('next'));
    await expect(failed).rejects.toThrow('This task fails');
    expect(await next).toBe('next');
    expect(limiter.isIdle).toBe(true);
  });
});
