import { setImmediate as turn } from 'node:timers/promises';
import { beforeAll, describe, it } from '@jest/globals';
import { Logger } from '@nestjs/common';
import * as fc from 'fast-check';
import { Client, operations, World } from './support/resume-world.js';
import { until } from './support/until.js';

describe('The resume algorithm', () => {
  // Reads that fail are reported.
  beforeAll(() => Logger.overrideLogger(false));

  it('neither loses nor repeats an event, for any faults of messages, reads, nodes and the store', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(operations, { maxLength: 60, size: 'max' }), async (all) => {
        const world = new World();
        for (const broker of world.brokers) broker.connect();
        world.attach(0);
        await turn();
        for (const each of all) await world.run(each);
        const attached = world.clients.filter(({ frames }) => frames.length > 0);
        await world.settle();
        for (const client of attached) world.check(client, 'Connected', world.gone.has(client));
        // Each client reconnects as if its connection had broken after any one of its frames.
        const lastFrames = attached.flatMap(({ frames }) => frames);
        const reconnected = lastFrames.flatMap((frame) =>
          world.hubs.map((hub, n) => {
            const client = new Client(n, frame);
            hub.attach(client, frame.id)?.();
            return client;
          }),
        );
        const caughtUp = () => reconnected.every(({ frames }) => frames.at(-1)!.cursor === world.store.tip);
        await until(caughtUp).catch(() => undefined);
        for (const client of reconnected) world.checkReconnected(client);
      }),
      { seed: 1, numRuns: 300, endOnFailure: true },
    );
  });
});
