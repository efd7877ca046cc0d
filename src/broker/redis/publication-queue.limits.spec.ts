import { performance } from 'node:perf_hooks';
import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it, jest } from '@jest/globals';
import {
  FOR_A_WHILE,
  FOR_GOOD,
  NO_ANSWER,
  NOT_SENT,
  PublisherRig,
  REPEATED,
} from '../../../test/support/publisher-rig.js';
import { until } from '../../../test/support/until.js';

/** How long publications wait, and how many. */
describe('The limits of a publisher', () => {
  const rig = new PublisherRig();
  const { publish, names, later, isRejected } = rig;

  it('reports that an event may be published if its reply is missing after 5 s', async () => {
    jest.useRealTimers();
    await isRejected(publish('a1'), true, 5_000);
  });

  it('does not send a publication again that may be stored if the process was suspended for long', async () => {
    const [stored, unsent] = [publish('a1'), publish('b2')];
    const now = performance.now();
    jest.spyOn(performance, 'now').mockReturnValue(now + 11_000);
    rig.sent[0]!.fail(NO_ANSWER);
    rig.sent[1]!.fail(NOT_SENT);
    await isRejected(stored, true);
    jest.restoreAllMocks();
    await later();
    rig.sent[2]!.answer('2');
    expect([await unsent, names()]).toEqual(['2', ['a1', 'b2', 'b2']]);
  });

  it('is not delayed by publications that timed out while their server was unreachable', async () => {
    jest.useRealTimers();
    const all = publish('a1', true, 67_108_864);
    rig.sent[0]!.fail(NO_ANSWER);
    rig.connection.ready = false;
    await isRejected(publish('b2'), false);
    await isRejected(all, true, 5_000);
    rig.connection.ready = true;
    rig.publisher.flush();
    void publish('b3');
    rig.connection.ready = false;
    void publish('b4');
    expect(names()).toEqual(['a1', 'b3']);
    rig.connection.ready = true;
    rig.publisher.flush();
    expect(names()).toEqual(['a1', 'b3', 'b4']);
  });

  it('sends at once again after the only publication that was to be retried has timed out', async () => {
    jest.useRealTimers();
    const [lost, another] = [publish('a1'), publish('b2')];
    await sleep(1_000);
    const stored = publish('c3');
    rig.sent[2]!.fail(REPEATED);
    await until(() => names().at(-1) === 'find in c from 2');
    rig.sent[0]!.fail(NO_ANSWER);
    rig.sent[1]!.fail(NO_ANSWER);
    rig.connection.ready = false;
    await Promise.all([lost, another].map((id) => isRejected(id, true, 5_000)));
    rig.connection.ready = true;
    rig.publisher.flush();
    void publish('d4');
    expect(names().at(-1)).toBe('d4');
    await isRejected(stored, true, 5_000);
  });

  it('counts a publication that has failed no longer, although another one waits', async () => {
    void publish('a0');
    for (let n = 1; n < 100_000; n++) void publish(`b${n}`);
    await isRejected(publish('c0'), false);
    const [waiting, ...failing] = rig.sent.splice(0);
    waiting!.fail(FOR_A_WHILE);
    for (const each of failing) each.fail(FOR_GOOD);
    await turn();
    const next = publish('c1');
    await later();
    rig.sent[0]!.answer('0');
    await turn();
    rig.sent[1]!.answer('1');
    expect([await next, names()]).toEqual(['1', ['a0', 'c1']]);
  });
});
