import { describe, expect, it, jest } from '@jest/globals';
import { ChannelEvent } from './channel-event.js';
import { ChannelSet, CompositeSubscriber, splitLastEventId, tagOf } from './composite.js';

const A = '1763884800000-1048575';
const B = '1763884800001-7';
const C = '1763884800002-1';
const idOf = (cursors: Record<string, string>) =>
  new ChannelSet(Object.keys(cursors)).idAt(Object.values(cursors));
const both = idOf({ a: A, b: B });
const LARGEST = '9007199254740991-9007199254740991';

describe('A composite cursor', () => {
  it('has at most 128 safe characters for six channels, and 1,900 for a hundred', () => {
    const of = (count: number) =>
      idOf(Object.fromEntries(Array.from({ length: count }, (_, n) => [`é${n}`, '1795698973998-1048575'])));
    expect(of(6)).toMatch(/^[A-Za-z0-9._~-]{1,128}$/);
    expect(of(100).length).toBeLessThanOrEqual(1_900);
  });

  it('gives each channel its part in any order, and none to a new channel', () => {
    expect([...splitLastEventId(['b', 'c', 'a'], both)!]).toEqual([
      ['b', B],
      ['a', A],
    ]);
    expect([...splitLastEventId(['a'], both)!]).toEqual([['a', A]]);
    expect(splitLastEventId(['a', 'b'], undefined)!.size).toBe(0);
  });

  it.each(['1763884800000-0', '1000000000-0', LARGEST, '9999999999999999-9999999999999999', '00000000000-1'])(
    'holds any cursor digit by digit: %s',
    (cursor) => {
      expect(splitLastEventId(['a'], idOf({ a: cursor }))!.get('a')).toBe(cursor);
    },
  );

  it('can also be parsed with decimal numbers', () => {
    const id = ['a', 'b'].map((name) => `${tagOf(name, 8)}.${name === 'a' ? A : B}`).join('~');
    expect([...splitLastEventId(['b', 'a'], id)!]).toEqual([
      ['b', B],
      ['a', A],
    ]);
  });

  it('has longer tags if two channels have the same short tag', () => {
    const byTag = new Map<string, string>();
    let twins: string[] = [];
    for (let n = 0; twins.length === 0; n++) {
      const twin = byTag.get(tagOf(`${n}`));
      if (twin !== undefined) twins = [twin, `${n}`];
      byTag.set(tagOf(`${n}`), `${n}`);
    }
    const [one, two] = twins as [string, string];
    const id = idOf({ [one]: A, [two]: B, other: C });
    expect(splitLastEventId([two, 'other', one], id)).toEqual(
      new Map([
        [two, B],
        ['other', C],
        [one, A],
      ]),
    );
  });

  it.each(['12345', A, `${both}~x`, both.slice(1), 'abcd.1763884800000-5', 'abcd.zz-1', '~'])(
    'is used unchanged if it has no part of these channels: %s',
    (id) => {
      expect([...splitLastEventId(['c'], id)!]).toEqual([['c', id]]);
      expect(splitLastEventId(['a', 'b'], id)).toBeUndefined();
    },
  );

  it('resets each channel if it is not a position', () => {
    const starts = new Map(['a', 'b'].map((channel) => [channel, '']));
    for (const id of ['no id', 'abcd.1-z'.repeat(50)])
      expect(splitLastEventId(['a', 'b'], id)).toEqual(starts);
  });
});

describe('A connection with several channels', () => {
  const event = (channel: string, cursor: string) =>
    new ChannelEvent(channel, { id: 'own', json: `"of ${channel}"`, cursor, size: 1 }, cursor);
  const connectionOf = (set: ChannelSet, starts?: ReadonlyMap<string, string>) => {
    const calls: unknown[] = [];
    const subscriber = {
      open: (id?: string, live?: readonly string[]) => calls.push(['open', id, live]),
      next: ({ event: { data } }: ChannelEvent, id?: string) => calls.push([data, id]),
      complete: () => calls.push('complete'),
    };
    return { calls, composite: new CompositeSubscriber(set, subscriber, starts) };
  };

  it('opens with all positions, and each event moves that of its channel', () => {
    const { calls, composite } = connectionOf(new ChannelSet(['a', 'b']));
    const [a, b] = composite.legs;
    a!.open(A, []);
    b!.open(B, []);
    expect(calls).toEqual([]);
    composite.open(['a', 'b']);
    a!.next(event('a', A));
    b!.next(event('b', C));
    expect(calls).toEqual([
      ['open', both, ['a', 'b']],
      ['of a', both],
      ['of b', idOf({ a: A, b: C })],
    ]);
  });

  it('contains the client’s own position for a channel that is not open, or no part', () => {
    const set = new ChannelSet(['a', 'b', 'c']);
    const { calls, composite } = connectionOf(set, new Map([['c', C]]));
    composite.legs[0]!.open(A, []);
    composite.open(['a']);
    composite.legs[0]!.next(event('a', B));
    composite.legs[1]!.open(B, []);
    composite.open(['b']);
    expect(calls).toEqual([
      ['open', idOf({ a: A, c: C }), ['a']],
      ['of a', idOf({ a: B, c: C })],
      ['open', idOf({ a: B, b: B, c: C }), ['b']],
    ]);
  });

  it('has no part for a channel whose reset was not sent yet', () => {
    const set = new ChannelSet(['a', 'b']);
    const { calls, composite } = connectionOf(set, new Map(['a', 'b'].map((channel) => [channel, ''])));
    for (const leg of composite.legs) leg.open(A, []);
    composite.open([]);
    composite.legs[0]!.next(event('a', A));
    expect(calls).toEqual([
      ['open', '', []],
      ['of a', idOf({ a: A })],
    ]);
  });

  it('shares ids with connections of the same channels once they are at the same position', () => {
    const set = new ChannelSet(['a', 'b']);
    set.connections = 2;
    const made = jest.spyOn(set, 'part');
    const connections = [A, B].map((cursor) => {
      const { calls, composite } = connectionOf(set);
      composite.legs[0]!.open(cursor, []);
      composite.legs[1]!.open(B, []);
      composite.open([]);
      return { calls, composite };
    });
    const [first, second] = [event('a', C), event('b', C)];
    for (const { composite } of connections) composite.legs[0]!.next(first);
    const before = made.mock.calls.length;
    for (const { composite } of connections) composite.legs[1]!.next(second);
    expect(made).toHaveBeenCalledTimes(before + 1);
    expect(connections.map(({ calls }) => calls.at(-1))).toEqual(
      connections.map(() => ['of b', idOf({ a: C, b: C })]),
    );
  });

  it.each([1, 3])('has the positions of all channels in each id, with %i connections', (count) => {
    const names = ['a', 'b', 'c', 'd'];
    const set = new ChannelSet(names);
    set.connections = count;
    const connections = Array.from({ length: count }, () => {
      const { calls, composite } = connectionOf(set);
      const cursors: Record<string, string> = {};
      return { calls, composite, cursors };
    });
    let seed = 5;
    const random = (below: number) => (seed = (seed * 48_271) % 2_147_483_647) % below;
    for (let n = 0; n < 2_000; n++) {
      // Mostly the same channel several times, and now and then a connection misses an event, or opens a channel.
      const name = names[Math.floor(n / (1 + random(3))) % 4]!;
      const index = names.indexOf(name);
      const next = event(name, `${1_763_884_800_000 + n}-${random(1_048_576)}`);
      for (const { calls, composite, cursors } of connections) {
        if (random(20) === 0) continue;
        cursors[name] = next.cursor;
        if (random(20) === 0) {
          composite.legs[index]!.open(next.cursor, []);
          composite.open([name]);
        } else composite.legs[index]!.next(next);
        const known = names.filter((each) => each in cursors);
        const id = idOf(Object.fromEntries(known.map((each) => [each, cursors[each]!])));
        expect((calls.at(-1) as unknown[])[1]).toBe(id);
      }
    }
  });

  it('says whether another connection may get an event with the same id', () => {
    const set = new ChannelSet(['a', 'b']);
    const next = jest.fn();
    const nothing = () => undefined;
    const { legs } = new CompositeSubscriber(set, { open: nothing, next, complete: nothing });
    for (const [index, connections] of [1, 2].entries()) {
      set.connections = connections;
      legs[index]!.next(event('a', A));
      expect(next).toHaveBeenLastCalledWith(expect.anything(), expect.any(String), connections === 1);
    }
  });

  it('passes back-pressure and closing between its subscriber and its channels', () => {
    const drained = Promise.resolve();
    let disconnects = 0;
    const nothing = () => undefined;
    const subscriber = {
      open: nothing,
      next: nothing,
      complete: nothing,
      drained: () => drained,
      disconnectSlow: () => void disconnects++,
      isBehind: false,
    };
    const [leg] = new CompositeSubscriber(new ChannelSet(['a']), subscriber).legs;
    expect(leg!.drained!()).toBe(drained);
    expect(leg!.isBehind).toBe(false);
    subscriber.isBehind = true;
    expect(leg!.isBehind).toBe(true);
    leg!.disconnectSlow!();
    expect(disconnects).toBe(1);
  });
});
