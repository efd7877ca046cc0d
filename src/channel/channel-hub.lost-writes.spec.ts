import { beforeAll, describe, expect, it } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { at, Recorder, startHub } from '../../test/support/hub.js';
import { until } from '../../test/support/until.js';

describe('A channel hub after the store has lost events', () => {
  beforeAll(() => Logger.overrideLogger(false));

  /** Makes the hub live again after the store has lost the last two events that the hub delivered. */
  const liveAfterLostWrites = async () => {
    const started = startHub();
    const { attach, broker, hub, live, publish, store } = started;
    const recorder = attach();
    await live();
    publish(3);
    broker.deliver();
    broker.interrupt();
    store.loseWrites(2);
    broker.connect();
    await until(() => hub.live);
    return { ...started, recorder };
  };

  it('continues from where the store’s chain branched off', async () => {
    const { broker, publish, recorder } = await liveAfterLostWrites();
    broker.reads = 0;
    publish(2);
    broker.deliver();
    expect(recorder.calls).toEqual(['open 5', '6', '7', '8', '9', '10']);
    expect(broker.reads).toBe(0);
  });

  it('sends a lost event once to a client that reads too slowly afterwards', async () => {
    const { attach, broker, publish } = await liveAfterLostWrites();
    const slow = Object.assign(new Recorder(), { isBehind: false });
    attach(at(7), slow);
    await until(() => slow.calls.length === 2);
    slow.isBehind = true;
    publish(2);
    broker.deliver();
    slow.isBehind = false;
    await until(() => slow.calls.includes('10'));
    expect(slow.calls).toEqual(['open 7', '8', '9', '10']);
  });

  it('sends no lost event again to a client that read too slowly before', async () => {
    const { attach, broker, publish } = await liveAfterLostWrites();
    let drain = () => undefined as void;
    const drained = () => new Promise<void>((resolve) => (drain = resolve));
    const slow = Object.assign(new Recorder(), { isBehind: true, drained });
    attach(at(7), slow);
    await until(() => slow.calls.length === 2);
    publish(2);
    broker.deliver();
    slow.isBehind = false;
    for (let received = 2; received < 4;) {
      drain();
      await until(() => slow.calls.length > received);
      received = slow.calls.length;
    }
    expect(slow.calls).toEqual(['open 7', '8', '9', '10']);
  });

  it.each([0, 1, 2])(
    'continues if the store returns to the lost events after %i newer ones',
    async (count) => {
      const { attach, broker, hub, publish, recorder, store } = await liveAfterLostWrites();
      publish(count);
      broker.deliver();
      const early = attach(at(5));
      await until(() => early.calls.length === recorder.calls.length);
      broker.interrupt();
      store.events = [6, 7, 8].map((number) => store.published.get(at(number))!);
      store.loseWrites(0);
      broker.connect();
      await until(() => hub.live);
      publish(1);
      broker.deliver();
      const newer = ['9', '10', '11'].slice(0, count + 1);
      expect(recorder.calls).toEqual(['open 5', '6', '7', '8', ...newer]);
      expect(early.calls).toEqual(recorder.calls);
    },
  );

  it('ignores a delivered message of the branch that the store has lost', async () => {
    const { broker, store, publish, recorder } = await liveAfterLostWrites();
    broker.send(store.published.get(at(7))!);
    broker.deliver();
    publish(1);
    broker.deliver();
    expect(recorder.calls).toEqual(['open 5', '6', '7', '8', '9']);
  });
});
