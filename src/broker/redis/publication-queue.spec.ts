import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import {
  FOR_A_WHILE,
  FOR_GOOD,
  NO_ANSWER,
  NOT_SENT,
  PublisherRig,
  refused,
  REPEATED,
  type Sent,
  UNORDERED,
} from '../../../test/support/publisher-rig.js';
import { within } from '../../../test/support/until.js';

/** When each attempt is sent, depending on the results of earlier attempts. */
describe('A publisher', () => {
  const rig = new PublisherRig();
  const { publish, names, later, isRejected } = rig;

  it('retries nothing before all publications in flight have ended', async () => {
    void publish('a1');
    void publish('a2');
    rig.sent[0]!.fail(FOR_A_WHILE);
    await later();
    void publish('b3');
    await later();
    expect(names()).toEqual(['a1', 'a2']);
    rig.sent[1]!.fail(UNORDERED);
    await later();
    expect(names()).toEqual(['a1', 'a2', 'a1']);
    rig.sent[2]!.answer('1');
    await turn();
    expect(names()).toEqual(['a1', 'a2', 'a1', 'a2', 'b3']);
  });

  it('names the previous number in the channel while its reply is missing', async () => {
    for (const name of ['a0', 'b1', 'a2', 'a3']) void publish(name);
    rig.sent[3]!.answer('3');
    await turn();
    void publish('a4');
    void publish('a5', false);
    void publish('a6');
    const numbers = rig.sent.map(({ attempt }) => [attempt!.number, attempt!.after]);
    expect(numbers).toEqual([
      [0, undefined],
      [1, undefined],
      [2, 0],
      [3, 2],
      [4, undefined],
      [5, 4],
      [6, 4],
    ]);
    expect(new Set(rig.sent.map(({ attempt }) => attempt!.publisher)).size).toBe(1);
  });

  it('sends one event alone while Redis refuses, and the rest after it was accepted or finally refused', async () => {
    for (const name of ['a1', 'b2', 'b3']) void publish(name);
    for (const each of rig.sent.splice(0)) each.fail(FOR_A_WHILE);
    await later();
    rig.sent[0]!.fail(FOR_A_WHILE);
    await later();
    expect(names()).toEqual(['a1', 'a1']);
    rig.sent[1]!.fail(FOR_GOOD);
    await turn();
    expect(names()).toEqual(['a1', 'a1', 'b2', 'b3']);
  });

  it('sends the script text on a new connection, and the hash afterwards', () => {
    for (const name of ['a1', 'a2']) void publish(name);
    rig.connection.knownScripts.clear();
    for (const name of ['a3', 'a4']) void publish(name);
    expect(rig.sent.map(({ attempt }) => attempt!.whole)).toEqual([true, false, true, false]);
  });

  it('does not rely on a script that Redis refused', async () => {
    void publish('a1');
    rig.sent[0]!.fail(FOR_A_WHILE);
    await turn();
    expect(rig.connection.knownScripts.size).toBe(0);
  });

  it('searches for stored publications once per channel, and sends new ones meanwhile', async () => {
    const ids = ['a0', 'b1', 'a2'].map((name) => publish(name));
    for (const each of rig.sent.splice(0)) each.fail(NO_ANSWER);
    await later();
    rig.sent[0]!.fail(REPEATED);
    await turn();
    for (const each of rig.sent.slice(1)) each.fail(REPEATED);
    await later();
    void publish('a3');
    expect(names()).toEqual(['a0', 'b1', 'a2', 'find in a from 0', 'find in b from 1', 'a3']);
    rig.sent[3]!.answer(
      new Map([
        [0, 'first'],
        [2, 'third'],
      ]),
    );
    rig.sent[4]!.answer(new Map([[1, 'second']]));
    expect(await Promise.all(ids)).toEqual(['first', 'second', 'third']);
  });

  it.each([
    ['the connection has broken', NO_ANSWER],
    ['Redis has refused for a while', FOR_A_WHILE],
  ])('searches again if %s during the search', async (_, error) => {
    const id = publish('a0');
    rig.sent[0]!.fail(REPEATED);
    await later();
    rig.sent[1]!.fail(error);
    await later();
    rig.sent[2]!.answer(new Map([[0, 'its cursor']]));
    expect(await id).toBe('its cursor');
  });

  it.each([
    ['it may not look', (look: Sent) => look.fail(FOR_GOOD)],
    ['it does not find it', (look: Sent) => look.answer(new Map())],
  ])('rejects at once with mayBePublished if %s', async (_, end) => {
    const id = publish('a1');
    rig.sent[0]!.fail(REPEATED);
    await later();
    end(rig.sent[1]!);
    await isRejected(id, true);
  });

  it('sends a transient event again only if it was not sent', async () => {
    const [notSent, unanswered] = [publish('a1', false), publish('a2', false)];
    rig.sent[0]!.fail(NOT_SENT);
    rig.sent[1]!.fail(NO_ANSWER);
    await isRejected(unanswered, true);
    await later();
    rig.sent[2]!.answer('sent');
    expect(await notSent).toBe('sent');
    expect(names()).toEqual(['a1', 'a2', 'a1']);
  });

  it('reports the server that replied, even if the channel has moved since', async () => {
    void publish('a1');
    rig.sent[0]!.fail(NO_ANSWER);
    await later();
    const before = rig.connection;
    rig.connection = { ...before };
    rig.publisher.flush();
    rig.sent[1]!.fail(refused('MOVED 1 127.0.0.1:7000'));
    await turn();
    expect(rig.learnt.at(-1)).toBe(before);
  });

  it('rejects finally refused publications at once', async () => {
    const id = publish('a1');
    rig.sent[0]!.fail(FOR_GOOD);
    await isRejected(id, false);
  });

  it('accepts nothing after it is closed, and rejects unsent and unanswered publications', async () => {
    const [unanswered, refusedOnce] = [publish('a1'), publish('b2')];
    rig.sent[1]!.fail(FOR_A_WHILE);
    await turn();
    const notSent = publish('c3');
    const closing = rig.publisher.close();
    await isRejected(publish('a4'), false);
    await within(3_000, 'the end', closing);
    for (const id of [refusedOnce, notSent]) await isRejected(id, false);
    await isRejected(unanswered, true);
    expect(names()).toEqual(['a1', 'b2']);
  });

  it('reports the server that a search was sent to, even if the channel has moved since', async () => {
    void publish('a0');
    rig.sent[0]!.fail(REPEATED);
    await later();
    const before = rig.connection;
    rig.connection = { ...before };
    void publish('b1');
    rig.sent[1]!.fail(FOR_A_WHILE);
    await turn();
    expect(rig.learnt.at(-1)).toBe(before);
  });
});
