import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { within } from '../../../test/support/until.js';
import { SseError } from '../../common/sse.errors.js';
import type { Attempt, Find, PublishCommand } from './publication.js';
import { RedisPublisher } from './publisher.js';
import type { RedisTopology } from './topology.js';

/** A sent attempt or a search, whose result the test decides. */
interface Sent {
  readonly name: string;
  readonly attempt?: Attempt;
  answer(value?: unknown): void;
  fail(error: Error): void;
}

const refused = (message: string) => Object.assign(new Error(message), { name: 'ReplyError' });
const NO_ANSWER = new Error('Connection is closed.');
const NOT_SENT = new Error("Stream isn't writeable and enableOfflineQueue options is false");
const FOR_A_WHILE = refused('READONLY You can’t write against a read only replica.');
const REPEATED = refused('REPEATED: the channel has taken this publication, or a later one');
const UNORDERED = refused('UNORDERED: the channel has not taken the publication before this one');
const FOR_GOOD = refused('WRONGTYPE Operation against a key holding the wrong kind of value');

/** When each attempt is sent, depending on the results of earlier attempts. */
describe('A publisher', () => {
  let connection: { ready: boolean; knowsScripts: boolean };
  let publisher: RedisPublisher;
  let sent: Sent[];
  let learnt: unknown[];

  const record = (name: string, attempt?: Attempt) =>
    new Promise<unknown>((answer, fail) => sent.push({ name, attempt, answer, fail }));
  const find: Find = (_, { channel, first }) =>
    record(`find in ${channel} from ${first}`) as ReturnType<Find>;
  beforeEach(() => {
    jest.useFakeTimers({ doNotFake: ['queueMicrotask', 'nextTick'] });
    [sent, learnt] = [[], []];
    const unreachable = () => new SseError('SSE_UNAVAILABLE', 'Redis is unreachable');
    const reached = { ready: true, knowsScripts: false, reason: 'it hangs', unreachable };
    connection = reached;
    const learn = (_: Error, from: unknown) => learnt.push(from);
    const servers = { queueOf: () => '', routeOf: () => ({ connection }), learn };
    publisher = new RedisPublisher(servers as unknown as RedisTopology, find);
  });

  afterEach(() => void jest.useRealTimers());

  /** An event with the name `<channel><number>`. */
  const publish = (name: string, isRepeatable = true, size = 1) => {
    const send: PublishCommand['send'] = (_, attempt) => record(name, attempt);
    const id = publisher.publish({ channel: name[0]!, size, isRepeatable, send, idOf: (cursor) => cursor });
    id.catch(() => undefined);
    return id;
  };
  const names = () => sent.map(({ name }) => name);
  /** Advances the time by the delay between two attempts. */
  const later = async () => {
    await turn();
    jest.advanceTimersByTime(1_000);
    await turn();
  };

  const isRejected = (id: Promise<string>, mayBePublished: boolean, ms = 1_000) =>
    within(ms, 'the rejection', expect(id).rejects.toMatchObject({ mayBePublished }));

  it('retries nothing before all publications in flight have ended', async () => {
    void publish('a1');
    void publish('a2');
    sent[0]!.fail(FOR_A_WHILE);
    await later();
    void publish('b3');
    await later();
    expect(names()).toEqual(['a1', 'a2']);
    sent[1]!.fail(UNORDERED);
    await later();
    expect(names()).toEqual(['a1', 'a2', 'a1']);
    sent[2]!.answer('1');
    await turn();
    expect(names()).toEqual(['a1', 'a2', 'a1', 'a2', 'b3']);
  });

  it('names the previous number in the channel while its reply is missing', async () => {
    for (const name of ['a0', 'b1', 'a2', 'a3']) void publish(name);
    sent[3]!.answer('3');
    await turn();
    void publish('a4');
    void publish('a5', false);
    void publish('a6');
    const numbers = sent.map(({ attempt }) => [attempt!.number, attempt!.after]);
    expect(numbers).toEqual([
      [0, undefined],
      [1, undefined],
      [2, 0],
      [3, 2],
      [4, undefined],
      [5, 4],
      [6, 4],
    ]);
    expect(new Set(sent.map(({ attempt }) => attempt!.publisher)).size).toBe(1);
  });

  it('sends one event alone while Redis refuses, and the rest after it was accepted or finally refused', async () => {
    for (const name of ['a1', 'b2', 'b3']) void publish(name);
    for (const each of sent.splice(0)) each.fail(FOR_A_WHILE);
    await later();
    sent[0]!.fail(FOR_A_WHILE);
    await later();
    expect(names()).toEqual(['a1', 'a1']);
    sent[1]!.fail(FOR_GOOD);
    await turn();
    expect(names()).toEqual(['a1', 'a1', 'b2', 'b3']);
  });

  it('sends the script text on a new connection, and the hash afterwards', () => {
    for (const name of ['a1', 'a2']) void publish(name);
    connection.knowsScripts = false;
    for (const name of ['a3', 'a4']) void publish(name);
    expect(sent.map(({ attempt }) => attempt!.whole)).toEqual([true, false, true, false]);
  });

  it('does not rely on a script that Redis refused', async () => {
    void publish('a1');
    sent[0]!.fail(FOR_A_WHILE);
    await turn();
    expect(connection.knowsScripts).toBe(false);
  });

  it('searches for stored publications once per channel, and sends new ones meanwhile', async () => {
    const ids = ['a0', 'b1', 'a2'].map((name) => publish(name));
    for (const each of sent.splice(0)) each.fail(NO_ANSWER);
    await later();
    sent[0]!.fail(REPEATED);
    await turn();
    for (const each of sent.slice(1)) each.fail(REPEATED);
    await later();
    void publish('a3');
    expect(names()).toEqual(['a0', 'b1', 'a2', 'find in a from 0', 'find in b from 1', 'a3']);
    sent[3]!.answer(
      new Map([
        [0, 'first'],
        [2, 'third'],
      ]),
    );
    sent[4]!.answer(new Map([[1, 'second']]));
    expect(await Promise.all(ids)).toEqual(['first', 'second', 'third']);
  });

  it.each([
    ['the connection has broken', NO_ANSWER],
    ['Redis has refused for a while', FOR_A_WHILE],
  ])('searches again if %s during the search', async (_, error) => {
    const id = publish('a0');
    sent[0]!.fail(REPEATED);
    await later();
    sent[1]!.fail(error);
    await later();
    sent[2]!.answer(new Map([[0, 'its cursor']]));
    expect(await id).toBe('its cursor');
  });

  it.each([
    ['it may not look', (look: Sent) => look.fail(FOR_GOOD)],
    ['it does not find it', (look: Sent) => look.answer(new Map())],
  ])('rejects at once with mayBePublished if %s', async (_, end) => {
    const id = publish('a1');
    sent[0]!.fail(REPEATED);
    await later();
    end(sent[1]!);
    await isRejected(id, true);
  });

  it('sends a transient event again only if it was not sent', async () => {
    const [notSent, unanswered] = [publish('a1', false), publish('a2', false)];
    sent[0]!.fail(NOT_SENT);
    sent[1]!.fail(NO_ANSWER);
    await isRejected(unanswered, true);
    await later();
    sent[2]!.answer('sent');
    expect(await notSent).toBe('sent');
    expect(names()).toEqual(['a1', 'a2', 'a1']);
  });

  it('reports the server that replied, even if the channel has moved since', async () => {
    void publish('a1');
    sent[0]!.fail(NO_ANSWER);
    await later();
    const before = connection;
    connection = { ...connection };
    publisher.flush();
    sent[1]!.fail(refused('MOVED 1 127.0.0.1:7000'));
    await turn();
    expect(learnt.at(-1)).toBe(before);
  });

  it('rejects finally refused publications at once', async () => {
    const id = publish('a1');
    sent[0]!.fail(FOR_GOOD);
    await isRejected(id, false);
  });

  it('reports that an event may be published if its reply is missing after 5 s', async () => {
    jest.useRealTimers();
    await isRejected(publish('a1'), true, 5_000);
  });

  it('is not delayed by publications that timed out while their server was unreachable', async () => {
    jest.useRealTimers();
    const all = publish('a1', true, 67_108_864);
    sent[0]!.fail(NO_ANSWER);
    connection.ready = false;
    await isRejected(publish('b2'), false);
    await isRejected(all, true, 5_000);
    const next = publish('b3');
    connection.ready = true;
    publisher.flush();
    await turn();
    sent.at(-1)!.answer('3');
    expect([await next, names()]).toEqual(['3', ['a1', 'b3']]);
  });

  it('accepts nothing after it is closed, and rejects unsent and unanswered publications', async () => {
    const [unanswered, refusedOnce] = [publish('a1'), publish('b2')];
    sent[1]!.fail(FOR_A_WHILE);
    await turn();
    const notSent = publish('c3');
    const closing = publisher.close();
    await isRejected(publish('a4'), false);
    await within(3_000, 'the end', closing);
    for (const id of [refusedOnce, notSent]) await isRejected(id, false);
    await isRejected(unanswered, true);
    expect(names()).toEqual(['a1', 'b2']);
  });
});
