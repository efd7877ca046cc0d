import { setImmediate as turn } from 'node:timers/promises';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { at, startHub } from '../../test/support/hub.js';
import { until } from '../../test/support/until.js';

describe('An audit of a channel hub', () => {
  beforeAll(() => Logger.overrideLogger(false));

  it('detects that the last message was lost', async () => {
    const { hub, broker, publish, attach, live } = startHub();
    const recorder = attach();
    await live();
    publish(1);
    broker.pending = [];
    await hub.audit();
    await until(() => hub.live);
    expect(recorder.calls).toEqual(['open 5', '6']);
  });

  it('keeps the hub live if nothing is missing or the read fails', async () => {
    const { hub, broker, live } = startHub();
    await live();
    for (const failures of [0, 1]) {
      broker.failures = failures;
      await hub.audit();
      expect(hub.live).toBe(true);
    }
    expect(broker.reads).toBe(2);
  });

  it('does not treat a message in flight as lost', async () => {
    const { hub, broker, publish, live } = startHub();
    await live();
    publish(1);
    const audit = hub.audit();
    await turn();
    broker.deliver();
    await audit;
    expect(broker.reads).toBe(1);
  });

  it('waits while many reads are queued, unless it is due', async () => {
    const { hub, broker, attach, live } = startHub();
    await live();
    broker.held = true;
    const waiting = Array.from({ length: 16 }, (_, k) => attach(at(100 + k)));
    await hub.audit();
    expect(broker.reads).toBe(16);
    // Otherwise a silent channel would expire in Redis.
    const due = hub.audit(true);
    broker.release();
    await due;
    expect(broker.reads).toBe(17);
    await until(() => waiting.every(({ calls }) => calls.length === 2));
  });

  it('reads nothing after the hub is closed', async () => {
    const { hub, broker, publish, live } = startHub();
    await live();
    publish(1);
    const audit = hub.audit();
    hub.close();
    await audit;
    expect(broker.reads).toBe(1);
  });
});
