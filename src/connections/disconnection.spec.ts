import { describe, expect, it } from '@jest/globals';
import { checkRefuseMs, checkTarget, decode, type DisconnectTarget, encode } from './disconnection.js';

const sent = (target: DisconnectTarget, refuseMs?: number) => {
  const checked = checkTarget(target);
  return JSON.parse(JSON.stringify(encode(checked, checkRefuseMs(checked, refuseMs), 'call'))) as object;
};

describe('A disconnection message', () => {
  it('can be read by nodes of every release, if it has no session', () => {
    expect(sent({ user: 5, channel: 'news' })).toEqual({
      user: '5',
      channel: 'news',
      refuseMs: 60_000,
      call: 'call',
    });
    expect(sent({ channel: 'news' })).toMatchObject({ channel: 'news', refuseMs: 0 });
  });

  it('is ignored by nodes without sessions, which would close more connections', () => {
    const message = sent({ user: 'ann', session: 's1', channel: 'news' });
    expect(Object.keys(message).toSorted()).toEqual(['call', 'refuseMs', 'target']);
    expect(JSON.stringify(message)).not.toContain('s1');
    expect(decode(message, 10, 20)).toMatchObject({ user: 'ann', channel: 'news', at: 10, until: 60_010 });
  });

  it.each([
    { target: { session: 'x', tenant: 'y' }, refuseMs: 1 },
    { target: {}, user: 'ann', refuseMs: 1 },
    { target: null, user: 'ann', refuseMs: 1 },
    { user: 'ann', session: null, refuseMs: 1 },
    { user: 'ann' },
    { refuseMs: 1 },
    [],
    null,
    'x',
  ])('is ignored if this release cannot apply it exactly: %j', (message) => {
    expect(decode(message, 0, 0)).toBeUndefined();
  });
});
