import { describe, expect, it } from '@jest/globals';
import { Packs } from './packs.js';

const filled = (...events: string[]) => {
  const packs = new Packs();
  for (const event of events) packs.push(event);
  return packs;
};
const numbers = (count: number) => Array.from({ length: count }, (_, n) => String(n));

describe('The packs of a stream', () => {
  it('have at most 64 events', () => {
    const packs = filled(...numbers(130));
    expect(packs.seal().map(({ count }) => count)).toEqual([64, 64, 2]);
  });

  it('have at most 128 KiB, unless one event is larger', () => {
    const [half, large] = ['x'.repeat(60_000), 'x'.repeat(200_000)];
    expect(
      filled(half, half, half, large, half)
        .seal()
        .map(({ count }) => count),
    ).toEqual([2, 1, 1, 1]);
  });

  it('are sent again as they were, also if further events are written meanwhile', () => {
    const packs = filled('1', '2');
    const first = packs.seal();
    packs.push('3');
    expect(packs.seal()).toEqual([...first, { count: 1, events: '[3]' }]);
    packs.confirm(1);
    expect(packs.seal()).toEqual([{ count: 1, events: '[3]' }]);
    packs.confirm(1);
    expect([packs.isEmpty, packs.size, packs.seal()]).toEqual([true, 0, []]);
  });

  it('have 1 MiB for each call', () => {
    const packs = filled(...Array.from({ length: 12 }, () => 'x'.repeat(131_072)));
    expect(packs.seal()).toHaveLength(8);
    expect(packs.hasOnly(8)).toBe(false);
    packs.confirm(8);
    expect(packs.seal()).toHaveLength(4);
    expect(packs.hasOnly(4)).toBe(true);
  });

  it('do not wait when one is full', () => {
    expect(filled(...numbers(63)).hasFull).toBe(false);
    expect(filled(...numbers(64)).hasFull).toBe(true);
    expect(filled('x'.repeat(131_072)).hasFull).toBe(true);
    expect(new Packs().hasFull).toBe(false);
  });
});
