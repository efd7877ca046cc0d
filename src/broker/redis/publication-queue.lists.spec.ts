import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import {
  FOR_A_WHILE,
  FOR_GOOD,
  NO_ANSWER,
  PublisherRig,
  REPEATED,
  UNORDERED,
} from '../../../test/support/publisher-rig.js';

/** A list that is sent in several parts. */
describe('A list of a publisher', () => {
  const rig = new PublisherRig();
  const { publish, publishAll, names, later, isRejected } = rig;

  it('takes a number for each event, and later publications follow the last one', () => {
    void publish('a');
    void publishAll({ a1: 3, a2: 5 });
    void publish('a3');
    const numbers = rig.sent.map(({ attempt }) => [attempt!.number, attempt!.after]);
    expect(numbers).toEqual([
      [0, undefined],
      [1, 0],
      [4, 3],
      [9, 8],
    ]);
  });

  it('is not sent further after a part was refused for good', async () => {
    const [first, second, third] = publishAll({ a1: 2, a2: 2, a3: 2 });
    const other = publish('a4');
    for (const each of rig.sent.splice(0)) each.fail(each.name === 'a1' ? FOR_A_WHILE : UNORDERED);
    await later();
    rig.sent[0]!.fail(FOR_GOOD);
    await turn();
    for (const part of [first!, second!, third!]) await isRejected(part, false);
    await expect(second).rejects.toThrow('Not published: an earlier event of the list');
    expect(names()).toEqual(['a1', 'a4']);
    rig.sent[1]!.answer('4');
    expect(await other).toBe('4');
  });

  it('rejects a part in flight that Redis refuses, as it has refused the part before it', async () => {
    const [first, second] = publishAll({ a1: 2, a2: 2 });
    rig.sent[0]!.fail(FOR_GOOD);
    await isRejected(first!, false);
    rig.sent[1]!.fail(UNORDERED);
    await isRejected(second!, false);
    await later();
    expect(names()).toEqual(['a1', 'a2']);
  });

  it('confirms a part in flight although it is not known whether the part before it is published', async () => {
    const [first, second] = publishAll({ a1: 2, a2: 2 });
    rig.sent[0]!.fail(REPEATED);
    await later();
    rig.sent[2]!.answer(new Map());
    await isRejected(first!, true);
    rig.sent[1]!.answer('second');
    expect(await second).toBe('second');
  });

  it('says that a part in flight may be published if its answer is lost', async () => {
    const [first, second] = publishAll({ a1: 2, a2: 2 });
    rig.sent[0]!.fail(FOR_GOOD);
    await isRejected(first!, false);
    rig.sent[1]!.fail(NO_ANSWER);
    await isRejected(second!, true);
    await later();
    expect(names()).toEqual(['a1', 'a2']);
  });

  it('counts each event against the bound, and is accepted as a whole or not at all', async () => {
    rig.connection.ready = false;
    void publishAll({ a1: 60_000 });
    const refused = publishAll({ b1: 20_000, b2: 20_001 });
    for (const part of refused) await isRejected(part, false);
    const accepted = publishAll({ b1: 20_000, b2: 20_000 });
    await isRejected(publish('c'), false);
    rig.connection.ready = true;
    rig.publisher.flush();
    await turn();
    expect(names()).toEqual(['a1', 'b1', 'b2']);
    for (const each of rig.sent) each.answer(each.name);
    expect(await Promise.all(accepted)).toEqual(['b1', 'b2']);
    void publish('d');
    expect(names()).toEqual(['a1', 'b1', 'b2', 'd']);
  });
});
