import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { MemorySseBroker } from '../broker/memory/memory.broker.js';
import { Channels } from '../channel/channels.js';
import { resolveOptions } from '../options/resolve-options.js';
import { Connections } from './connections.js';

describe('A node and the disconnections from other nodes', () => {
  let broker: MemorySseBroker;
  let ended: string[];
  const made: Connections[] = [];

  beforeEach(() => {
    jest.useFakeTimers({ doNotFake: ['setImmediate', 'queueMicrotask', 'nextTick'] });
    broker = new MemorySseBroker();
    ended = [];
  });
  afterEach(() => {
    for (const connections of made.splice(0)) connections.close();
    jest.useRealTimers();
  });

  const start = () => {
    const connections = new Connections(broker, new Channels(broker), resolveOptions({}));
    made.push(connections);
    const admit = (user: string, more: object = {}) =>
      connections.admit({
        channels: ['a'],
        access: { user },
        resumes: false,
        end: () => void ended.push(user),
        ...more,
      });
    return { connections, admit };
  };
  const settle = async () => {
    for (let n = 0; n < 5; n++) await turn();
  };

  it('ends only the connections of the target', async () => {
    const [one, other] = [start(), start()];
    await one.connections.disconnect({ user: 'ann' });
    jest.advanceTimersByTime(10_000);
    for (const user of ['ann', 'bob']) other.admit(user);
    await settle();
    expect(ended).toEqual(['ann']);
    expect(other.admit('ann')).toBe(50_000);
  });

  it('does not close connections that were accepted after the refusal', async () => {
    const [one, other] = [start(), start()];
    await one.connections.disconnect({ user: 'ann' });
    jest.advanceTimersByTime(60_001);
    other.admit('ann');
    await settle();
    expect(ended).toEqual([]);
    expect(other.admit('ann')).toBeInstanceOf(Function);
  });

  it('knows all disconnections from a time without connections', async () => {
    const [one, other] = [start(), start()];
    const leave = other.admit('bob') as () => void;
    await settle();
    leave();
    for (const user of ['ann', 'cem']) await one.connections.disconnect({ user });
    const again = other.admit('bob') as () => void;
    await settle();
    expect([other.admit('ann'), other.admit('cem')]).toEqual([60_000, 60_000]);
    again();
    again();
    expect(other.connections.list()).toEqual([]);
  });

  it('refuses a client that reconnects just after the last connection closed', async () => {
    const [one, other] = [start(), start()];
    const leave = other.admit('ann') as () => void;
    await settle();
    leave();
    await one.connections.disconnect({ user: 'ann' });
    await settle();
    expect(other.admit('ann')).toBe(60_000);
    expect(ended).toEqual([]);
  });

  it('applies live disconnections, although its reads fail', async () => {
    const [one, other] = [start(), start()];
    other.admit('ann');
    await settle();
    const read = jest.spyOn(broker, 'read').mockRejectedValue(new Error('This read fails'));
    jest.advanceTimersByTime(60_000);
    await settle();
    expect(read).toHaveBeenCalled();
    await one.connections.disconnect({ user: 'ann' });
    await settle();
    expect(ended).toEqual(['ann']);
  });

  it('applies each of them once, although the history is read again', async () => {
    const [one, other] = [start(), start()];
    other.admit('bob');
    await settle();
    await one.connections.disconnect({ user: 'ann' }, 0);
    await settle();
    other.admit('ann', { askedAt: Date.now() + 1 });
    const reads = jest.spyOn(broker, 'read');
    jest.advanceTimersByTime(60_000);
    await settle();
    expect(reads.mock.calls.length).toBeGreaterThan(1);
    expect(ended).toEqual([]);
  });

  it('refuses a client whose permission was requested before the disconnection', async () => {
    const [one, other] = [start(), start()];
    other.admit('bob');
    await settle();
    const askedAt = Date.now();
    jest.advanceTimersByTime(3_000);
    await one.connections.disconnect({ user: 'ann' }, 0);
    await settle();
    expect(other.admit('ann', { askedAt })).toBe(1_000);
    expect(other.admit('ann', { askedAt: Date.now() + 1 })).toBeInstanceOf(Function);
  });

  it('ends open connections, even if their credentials are dated later', async () => {
    const [one, other] = [start(), start()];
    for (const name of ['issuedAt', 'expiresAt'] as const) {
      other.admit('ann', { access: { user: 'ann', [name]: new Date(Date.now() + 10_000) } });
    }
    await settle();
    await one.connections.disconnect({ user: 'ann' }, 0);
    await settle();
    expect(ended).toEqual(['ann', 'ann']);
  });

  it('ends only connections that match all fields of a target', async () => {
    const { connections, admit } = start();
    // Fewer connections have the channel than the user.
    for (const channel of ['a', 'b', 'c']) admit('ann', { channels: [channel] });
    admit('bob', { channels: ['z'] });
    await settle();
    expect(await connections.disconnect({ user: 'ann', channel: 'z' })).toBe(0);
    expect(await connections.disconnect({ user: 'bob', channel: 'a' })).toBe(0);
    expect(ended).toEqual([]);
  });

  it('counts each connection with a client that did not read once', () => {
    const { connections, admit } = start();
    const leave = admit('ann') as (reason: string) => void;
    leave('slow');
    leave('slow');
    expect(connections.slow).toBe(1);
  });

  it('refuses a client whose credential has expired', () => {
    const { admit } = start();
    expect(admit('ann', { access: { user: 'ann', expiresAt: new Date(Date.now() - 1) } })).toBe(1_000);
  });

  it('unsubscribes from them a while after its last connection', async () => {
    const unsubscribe = jest.spyOn(broker, 'unsubscribe');
    const { admit } = start();
    const leave = [admit('ann'), admit('bob')] as (() => void)[];
    await settle();
    leave[0]!();
    jest.advanceTimersByTime(20_000);
    expect(unsubscribe).not.toHaveBeenCalled();
    leave[1]!();
    jest.advanceTimersByTime(10_000);
    expect(unsubscribe).toHaveBeenCalledWith('!disconnect');
  });

  it('ignores messages that are not disconnections', async () => {
    const { admit } = start();
    admit('ann');
    await settle();
    for (const data of [
      '"x"',
      'null',
      '{}',
      '{"user":5,"refuseMs":1}',
      '{"user":"ann"}',
      '{"refuseMs":1}',
      '[]',
    ]) {
      await broker.publish('!disconnect', { data, transient: false });
    }
    await settle();
    expect(ended).toEqual([]);
  });
});
