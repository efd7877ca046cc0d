import { describe, expect, it } from '@jest/globals';
import { Test, type TestingModule } from '@nestjs/testing';
import { SseModule, SseService } from 'nestjs-sse-channels';

const ROUNDS = 5;
const CALLS = 200;
const MANY = 20_000;

/** An application without HTTP, with the given number of stored disconnections and of connections. */
async function start(count: number): Promise<{ module: TestingModule; sse: SseService }> {
  const limits = { connections: 1_000_000 };
  const module = await Test.createTestingModule({ imports: [SseModule.forRoot({ limits })] }).compile();
  const sse = module.get(SseService);
  for (let n = 0; n < count; n++) {
    sse.messages(`channel:${n % 100}`, { user: `u${n}`, session: `s${n}` }).subscribe();
  }
  for (let n = 0; n < count; n++) {
    await sse.disconnect({ user: `gone${n}`, channel: `channel:${n % 100}` }, { refuseMs: 3_600_000 });
  }
  return { module, sse };
}

/** @returns the CPU time of one call, in µs */
async function cost(work: (n: number) => unknown): Promise<number> {
  const { user, system } = process.cpuUsage();
  for (let n = 0; n < CALLS; n++) await work(n);
  const spent = process.cpuUsage();
  return (spent.user + spent.system - user - system) / CALLS;
}

const median = (values: number[]) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;

describe('The cost of disconnect()', () => {
  const work: [string, (sse: SseService, n: number) => unknown][] = [
    [
      'to open a connection and to end it',
      (sse, n) =>
        sse
          .messages('channel:1', { user: `new${n}`, session: `new${n}` })
          .subscribe()
          .unsubscribe(),
    ],
    ['to disconnect a user', (sse, n) => sse.disconnect({ user: `nobody${n}` })],
    ['to disconnect a session', (sse, n) => sse.disconnect({ session: `none${n}` })],
    [
      'to disconnect a user from a channel',
      (sse, n) => sse.disconnect({ user: `u${n}`, channel: 'elsewhere' }),
    ],
    ['to disconnect a connection', (sse) => sse.disconnect({ connection: 'none' })],
  ];

  it('does not grow with the number of stored disconnections or open connections', async () => {
    const [few, many] = [await start(20), await start(MANY)];
    for (const [what, call] of work) {
      const ratios: number[] = [];
      for (let round = 0; round < ROUNDS; round++) {
        const small = await cost((n) => call(few.sse, n));
        ratios.push((await cost((n) => call(many.sse, n))) / small);
      }
      expect([what, median(ratios), median(ratios) < 5]).toEqual([what, expect.any(Number), true]);
    }
    expect(many.sse.connections()).toHaveLength(MANY);
    await Promise.all([few, many].map(({ module }) => module.close()));
  });
});
