import { setImmediate as turn } from 'node:timers/promises';
import { beforeAll, describe, expect, it, jest } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { at, Recorder, startHub } from '../../test/support/hub.js';
import { until } from '../../test/support/until.js';

describe('A channel hub after a gap', () => {
  beforeAll(() => Logger.overrideLogger(false));

  it('fills a gap before the message that reveals it', async () => {
    const { hub, broker, publish, attach, live } = startHub();
    const recorder = attach();
    await live();
    publish(3);
    broker.pending.splice(0, 2);
    broker.deliver();
    await until(() => hub.live);
    expect(recorder.calls).toEqual(['open 5', '6', '7', '8']);
  });

  it('fills a gap larger than a page', async () => {
    const { hub, broker, publish, attach, live } = startHub();
    const recorder = attach();
    await live();
    publish(350);
    broker.pending.splice(0, 349);
    broker.deliver();
    await until(() => hub.live);
    expect(recorder.calls).toHaveLength(351);
    expect(recorder.calls.at(-1)).toBe('355');
    expect(broker.reads).toBe(4);
  });

  it('ignores a repeated message without a read', async () => {
    const { broker, publish, attach, live } = startHub();
    const recorder = attach();
    await live();
    publish(2);
    broker.pending.push(...broker.pending);
    broker.deliver();
    expect(recorder.calls).toEqual(['open 5', '6', '7']);
    expect(broker.reads).toBe(0);
  });

  it('delivers events published during an interruption before it opens new subscribers', async () => {
    const { hub, broker, publish, attach, live } = startHub();
    const recorder = attach();
    await live();
    broker.interrupt();
    publish(2);
    const [stays, leaves] = [attach(), new Recorder()];
    hub.whenLive(() => hub.attach(leaves, undefined))();
    await turn();
    expect(stays.calls).toEqual([]);
    broker.connect();
    await until(() => hub.live);
    expect(recorder.calls).toEqual(['open 5', '6', '7']);
    expect(stays.calls).toEqual(['open 7']);
    expect(leaves.calls).toEqual([]);
  });

  it('ignores a read from before the last interruption', async () => {
    const { hub, broker, publish } = startHub();
    publish(4);
    broker.held = true;
    broker.connect();
    broker.interrupt();
    broker.release();
    await turn();
    expect(hub.live).toBe(false);
    broker.connect();
    await until(() => hub.live);
  });

  it('uses the last of several reads', async () => {
    const { hub, broker, publish, attach, live } = startHub();
    await live();
    broker.held = true;
    hub.synchronise();
    await turn();
    publish(1);
    broker.pending = [];
    hub.synchronise();
    const recorder = attach();
    await turn();
    broker.release();
    await until(() => hub.live);
    expect(recorder.calls).toEqual(['open 6']);
  });

  it('resets once if the history does not reach back to the gap', async () => {
    const { hub, broker, store, publish, attach, live } = startHub();
    const recorder = attach();
    await live();
    broker.interrupt();
    publish(3);
    store.trim(5);
    broker.connect();
    await until(() => hub.live);
    publish(1);
    broker.deliver();
    expect(recorder.calls).toEqual(['open 5', 'reset lost 8', '9']);
  });

  it('ignores a held message from before the ring, without another read', async () => {
    const { hub, broker, store, attach, live } = startHub();
    const recorder = attach();
    await live();
    broker.interrupt();
    broker.held = true;
    broker.connect();
    broker.send(store.published.get(at(3))!);
    broker.deliver();
    broker.release();
    await until(() => hub.live);
    expect(recorder.calls).toEqual(['open 5']);
    expect(broker.reads).toBe(1);
  });

  it('resets when the store was wiped, and continues', async () => {
    const { hub, broker, store, publish, attach, live } = startHub();
    const recorder = attach();
    await live();
    store.flush();
    publish(2);
    broker.deliver();
    await until(() => hub.live);
    expect(recorder.calls).toEqual(['open 5', 'reset lost 8']);
    publish(1);
    broker.deliver();
    expect(recorder.calls.at(-1)).toBe('9');
  });

  it('retries reads until one succeeds', async () => {
    const { broker, attach, live } = startHub();
    const recorder = attach();
    broker.failures = 3;
    await live();
    expect(recorder.calls).toEqual(['open 5']);
  });

  it('drops a message that no read explains, but none after it', async () => {
    const { hub, broker, publish, attach, live } = startHub();
    const recorder = attach();
    await live();
    const orphan = { data: 'orphan', cursor: at(99), prev: at(98) };
    broker.pending.push(JSON.stringify(orphan), '{"data":"passing by","id":"x"}');
    broker.deliver();
    await until(() => hub.live);
    publish(1);
    broker.deliver();
    expect(recorder.calls).toEqual(['open 5', 'x at 5', '6']);
  });

  it.each([
    ['messages', 2_049, 0, 22],
    ['characters', 42, 100_000, 2],
  ])('buffers a bounded number of %s, and reads the rest', async (_, count, size, reads) => {
    const { hub, broker, publish, attach, live } = startHub();
    const recorder = attach();
    await live();
    broker.interrupt();
    broker.held = true;
    broker.connect();
    publish(count);
    broker.pending = broker.pending.map((text) => text.padEnd(size));
    broker.deliver();
    broker.release();
    await until(() => hub.live);
    expect(recorder.calls).toHaveLength(count + 1);
    expect(recorder.calls.at(-1)).toBe(`${count + 5}`);
    expect(broker.reads).toBe(reads);
  });

  it('logs no failed read during an outage', async () => {
    const { broker, live } = startHub();
    const logged = jest.spyOn(Logger.prototype, 'error');
    broker.state = 'down';
    broker.failures = 2;
    await live();
    expect(logged).not.toHaveBeenCalled();
    logged.mockRestore();
  });
});
