import { describe, expect, it } from '@jest/globals';
import { ChannelEvent } from './channel-event.js';
import { formatCompositeCursor, mergeInto, splitLastEventId, tagOf } from './composite.js';

const A = '1763884800000-1048575';
const B = '1763884800001-7';
const both = formatCompositeCursor(
  new Map([
    [tagOf('a'), A],
    [tagOf('b'), B],
  ]),
);

describe('A composite cursor', () => {
  it('is at most 128 safe characters for three channels', () => {
    const cursor = formatCompositeCursor(
      new Map(['x'.repeat(200), 'é', 'c'].map((name) => [tagOf(name), '9999999999999999-9999999'])),
    );
    expect(cursor).toMatch(/^[A-Za-z0-9._~-]{1,128}$/);
  });

  it('gives each channel its part, whatever the order, and none to a new one', () => {
    expect([...splitLastEventId(['b', 'c', 'a'], both)!]).toEqual([
      ['b', B],
      ['a', A],
    ]);
    expect([...splitLastEventId(['a'], both)!]).toEqual([['a', A]]);
    expect(splitLastEventId(['a', 'b'], undefined)!.size).toBe(0);
  });

  it.each(['12345', A, `${both}~x`, both.slice(1), 'abcdefgh.1763884800000-5', '~'])(
    'stands for itself where it is none of these channels’: %s',
    (id) => {
      expect([...splitLastEventId(['c'], id)!]).toEqual([['c', id]]);
      expect(splitLastEventId(['a', 'b'], id)).toBeUndefined();
    },
  );
});

describe('Merged channels', () => {
  it('open once, with all positions, and then each event moves its own', () => {
    const calls: unknown[] = [];
    const stream = {
      open: (cursor: string) => calls.push(['open', cursor]),
      next: ({ event: { data } }: ChannelEvent, id?: string) => calls.push([data, id]),
      complete: () => calls.push('complete'),
    };
    const [a, b] = mergeInto(stream, ['a', 'b']);
    const event = (channel: string, cursor: string) =>
      new ChannelEvent(channel, { id: 'own', json: `"of ${channel}"`, cursor, size: 1 }, cursor);
    a!.open(A);
    expect(calls).toEqual([]);
    b!.open(B);
    a!.next(event('a', A));
    b!.next(event('b', '1763884800002-1'));
    const moved = formatCompositeCursor(
      new Map([
        [tagOf('a'), A],
        [tagOf('b'), '1763884800002-1'],
      ]),
    );
    expect(calls).toEqual([
      ['open', both],
      ['of a', both],
      ['of b', moved],
    ]);
  });

  it('go as fast as their subscriber takes them', () => {
    const drained = Promise.resolve();
    const nothing = () => undefined;
    const [a] = mergeInto({ open: nothing, next: nothing, complete: nothing, drained: () => drained }, ['a']);
    expect(a!.drained!()).toBe(drained);
  });
});
