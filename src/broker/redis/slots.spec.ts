import { describe, expect, it } from '@jest/globals';
import { RedisSlots } from './slots.js';

const refused = (message: string) => new Error(message);

/** Keys `b`, `c` and `a` are in slots 3300, 7365 and 15495. */
describe('A table of slots', () => {
  it('finds the master of a key by the part in braces', () => {
    const slots = new RedisSlots(undefined);
    slots.take(
      [
        [0, 8_000, ['10.0.0.1', 7_001], ['10.0.0.4', 7_004]],
        [8_001, 16_383, ['10.0.0.2', 7_002]],
      ],
      '10.0.0.3:7003',
    );
    expect(['b', 'c', 'a', 'sse:{a}:history'].map((key) => slots.ownerOf(key))).toEqual([
      '10.0.0.1:7001',
      '10.0.0.1:7001',
      '10.0.0.2:7002',
      '10.0.0.2:7002',
    ]);
    expect([...slots.masters]).toEqual(['10.0.0.1:7001', '10.0.0.2:7002']);
    expect(slots.areComplete).toBe(true);
  });

  it('knows no master for a slot without one, and ignores a server that knows no slots', () => {
    const slots = new RedisSlots(undefined);
    expect(slots.take([[0, 8_000, ['10.0.0.1', 7_001]]], '10.0.0.1:7001')).toBe(true);
    expect(slots.take([], '10.0.0.2:7002')).toBe(false);
    expect([slots.ownerOf('b'), slots.ownerOf('a')]).toEqual(['10.0.0.1:7001', undefined]);
    expect(slots.areComplete).toBe(false);
  });

  it('uses the address of the queried server if the server does not know its own name', () => {
    const slots = new RedisSlots(undefined);
    slots.take([[0, 16_383, [null, 7_001]]], 'redis.example:7000');
    expect(slots.ownerOf('a')).toBe('redis.example:7001');
    expect(slots.redirectionIn(refused('MOVED 15495 :7002'))?.address).toBe('redis.example:7002');
  });

  it.each([
    ['a function', (key: string) => ({ host: 'mapped', port: Number(key.split(':')[1]) + 10_000 })],
    [
      'an object',
      {
        '10.0.0.1:7001': { host: 'mapped', port: 17_001 },
        '10.0.0.2:7002': { host: 'mapped', port: 17_002 },
      },
    ],
  ])('uses the addresses of a natMap that is %s', (_, natMap) => {
    const slots = new RedisSlots(natMap);
    slots.take([[0, 16_383, ['10.0.0.1', 7_001]]], 'seed:7000');
    expect(slots.ownerOf('a')).toBe('mapped:17001');
    expect(slots.redirectionIn(refused('ASK 15495 10.0.0.2:7002'))).toEqual({
      kind: 'ASK',
      address: 'mapped:17002',
    });
  });

  it('uses the original address if a natMap throws', () => {
    const slots = new RedisSlots(() => {
      throw new Error('It is new');
    });
    slots.take([[0, 16_383, ['10.0.0.1', 7_001]]], 'seed:7000');
    expect(slots.ownerOf('a')).toBe('10.0.0.1:7001');
  });

  it('counts changes only', () => {
    const slots = new RedisSlots(undefined);
    const reply = (port: number) => slots.take([[0, 16_383, ['::1', port]]], 'seed:7000');
    reply(7_001);
    const { version } = slots;
    reply(7_001);
    expect([slots.ownerOf('a'), slots.version]).toEqual(['::1:7001', version]);
    reply(7_002);
    expect([slots.ownerOf('a'), slots.version]).toEqual(['::1:7002', version + 1]);
  });

  it.each(['TRYAGAIN Multiple keys request during rehashing of slot', 'ERR MOVED 1 10.0.0.1:1', 'MOVED'])(
    'does not treat %s as a redirection',
    (message) => expect(new RedisSlots(undefined).redirectionIn(refused(message))).toBeUndefined(),
  );
});
