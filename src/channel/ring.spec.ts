import { describe, expect, it } from '@jest/globals';
import { ChannelEvent } from './channel-event.js';
import { Ring, RingBudget } from './ring.js';

const at = (n: number) => `1763884800000-${n}`;
const event = (n: number, size = 10) => new ChannelEvent('c', { json: `${n}`, cursor: at(n), size }, at(n));
const fill = (ring: Ring, from: number, to: number, size?: number) => {
  for (let n = from; n <= to; n++) ring.push(event(n, size));
};
const held = (ring: Ring, from: number) => ring.after(at(from))?.map(({ json }) => Number(json));

describe('A ring', () => {
  it('drops events that were older than the audit before the last, and knows its first position', () => {
    const ring = new Ring();
    ring.clear(at(0));
    fill(ring, 1, 3);
    ring.age();
    fill(ring, 4, 5);
    expect(held(ring, 0)).toEqual([1, 2, 3, 4, 5]);
    ring.age();
    expect([held(ring, 0), held(ring, 3)]).toEqual([undefined, [4, 5]]);
    ring.age();
    expect([held(ring, 4), held(ring, 5), ring.end]).toEqual([undefined, [], at(5)]);
  });

  it('ages correctly when it also dropped events for lack of space', () => {
    const ring = new Ring({ maxEvents: 3, maxSize: 1_000 });
    ring.clear(at(0));
    fill(ring, 1, 3);
    ring.age();
    fill(ring, 4, 5);
    ring.age();
    expect(held(ring, 3)).toEqual([4, 5]);
  });

  it('stays within the shared budget of all rings', () => {
    const budget = new RingBudget(100);
    const [one, other] = [new Ring(undefined, budget), new Ring(undefined, budget)];
    for (const ring of [one, other]) ring.clear(at(0));
    fill(one, 1, 8);
    fill(other, 1, 5);
    expect([held(one, 0), held(other, 3), budget.used]).toEqual([[1, 2, 3, 4, 5, 6, 7, 8], [4, 5], 100]);
    fill(one, 9, 9);
    expect(held(one, 1)).toEqual([2, 3, 4, 5, 6, 7, 8, 9]);
    one.clear('');
    fill(other, 6, 9);
    expect(held(other, 3)).toEqual([4, 5, 6, 7, 8, 9]);
    other.prepend(at(2), [event(3)]);
    expect(budget.used).toBe(70);
    other.clear('');
    expect(budget.used).toBe(0);
  });
});
