import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { within } from '../../test/support/until.js';
import { SseError } from '../sse.errors.js';
import type { Find, Sending } from './redis.pending.js';
import { RedisPublisher } from './redis.publisher.js';
import type { RedisServers } from './redis.servers.js';

/** An attempt that was sent, or a question: the test says what becomes of it. */
interface Sent {
  readonly name: string;
  readonly whole: boolean;
  answer(value?: unknown): void;
  fail(error: Error): void;
}

const refused = (message: string) => Object.assign(new Error(message), { name: 'ReplyError' });
const NO_ANSWER = new Error('Connection is closed.');
const NOT_SENT = new Error("Stream isn't writeable and enableOfflineQueue options is false");
const FOR_A_WHILE = refused('READONLY You can’t write against a read only replica.');
const FOR_GOOD = refused('WRONGTYPE Operation against a key holding the wrong kind of value');

/** What is sent when, by what became of what was sent before. */
describe('A publisher', () => {
  let connection: { ready: boolean; knowsScripts: boolean };
  let publisher: RedisPublisher;
  let sent: Sent[];
  let ages: number[];
  let learnt: unknown[];

  const record = (name: string, whole = false) =>
    new Promise<unknown>((answer, fail) => sent.push({ name, whole, answer, fail }));
  const find: Find = (_, { channel, age }) => {
    ages.push(age);
    return record(`find in ${channel}`) as ReturnType<Find>;
  };
  beforeEach(() => {
    jest.useFakeTimers({ doNotFake: ['queueMicrotask', 'nextTick'] });
    [sent, ages, learnt] = [[], [], []];
    const unreachable = () => new SseError('SSE_UNAVAILABLE', 'Redis is out of reach');
    const reached = { ready: true, knowsScripts: false, reason: 'it hangs', unreachable };
    connection = reached;
    const learn = (_: Error, from: unknown) => learnt.push(from);
    const servers = { laneOf: () => '', placeOf: () => ({ connection }), learn };
    publisher = new RedisPublisher(servers as unknown as RedisServers, find);
  });

  afterEach(() => void jest.useRealTimers());

  /** An event called `<channel><number>`. */
  const publish = (
    name: string,
    repeatable: Sending['repeatable'] = 'if not found',
    names = '',
    size = 1,
  ) => {
    const send: Sending['send'] = (_, { whole }) => record(name, whole);
    const id = publisher.publish({
      channel: name[0]!,
      size,
      names,
      repeatable,
      send,
      idOf: (cursor) => cursor,
    });
    id.catch(() => undefined);
    return id;
  };
  const names = () => sent.map(({ name }) => name);
  /** Whatever is waited for between two attempts has passed. */
  const later = async () => {
    await turn();
    jest.advanceTimersByTime(1_000);
    await turn();
  };

  const found = (cursors: [number, string][] = [], isCertain = true) => ({
    cursors: new Map(cursors),
    isCertain,
  });
  const isRejected = (id: Promise<string>, mayBePublished: boolean, ms = 1_000) =>
    within(ms, 'the rejection', expect(id).rejects.toMatchObject({ mayBePublished }));

  it('sends nothing again before all that is under way has ended', async () => {
    const a1 = publish('a1');
    void publish('a2');
    sent[0]!.fail(FOR_A_WHILE);
    await later();
    void publish('b3');
    await later();
    expect(names()).toEqual(['a1', 'a2']);
    sent[1]!.answer('2');
    await later();
    await isRejected(a1, false);
    expect(names()).toEqual(['a1', 'a2', 'b3']);
  });

  it('sends nothing again that a later one of its channel has overtaken, which was found', async () => {
    const [a1, a2] = [publish('a1'), publish('a2'), publish('b3')];
    for (const [n, error] of [FOR_A_WHILE, NO_ANSWER, FOR_A_WHILE].entries()) sent[n]!.fail(error);
    await later();
    sent[3]!.answer(found([[1, 'its cursor']]));
    expect(await a2).toBe('its cursor');
    await isRejected(a1, false);
    expect(names()).toEqual(['a1', 'a2', 'b3', 'find in a', 'b3']);
  });

  it('sends one event alone while Redis refuses, and the rest when that is through, or refused for good', async () => {
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

  it('sends the script as a whole on a new connection, and by its hash after that', () => {
    for (const name of ['a1', 'a2']) void publish(name);
    connection.knowsScripts = false;
    for (const name of ['a3', 'a4']) void publish(name);
    expect(sent.map(({ whole }) => whole)).toEqual([true, false, true, false]);
  });

  it('does not count on a script that was refused', async () => {
    void publish('a1');
    sent[0]!.fail(FOR_A_WHILE);
    await turn();
    expect(connection.knowsScripts).toBe(false);
  });

  it.each([
    ['the connection has broken', NO_ANSWER],
    ['Redis has refused for a while', FOR_A_WHILE],
  ])('looks again where %s while it looked', async (_, error) => {
    const id = publish('a1');
    sent[0]!.fail(NO_ANSWER);
    await later();
    sent[1]!.fail(error);
    await later();
    sent[2]!.answer(found([[0, 'its cursor']]));
    expect(await id).toBe('its cursor');
  });

  it('goes on at once where nothing is to be sent again', async () => {
    const id = publish('a1');
    sent[0]!.fail(NO_ANSWER);
    await later();
    sent[1]!.answer(found([[0, 'its cursor']]));
    await id;
    await turn();
    void publish('a2');
    expect(names()).toEqual(['a1', 'find in a', 'a2']);
  });

  it('looks again when it has ended to look in all channels', async () => {
    for (const name of ['a1', 'b2']) void publish(name);
    for (const each of sent.splice(0)) each.fail(NO_ANSWER);
    await later();
    sent[0]!.fail(NO_ANSWER);
    await later();
    expect(names()).toEqual(['find in a', 'find in b']);
    sent[1]!.answer(found());
    await later();
    expect(names()).toEqual(['find in a', 'find in b', 'find in a']);
  });

  it.each([
    ['it may not look', (look: Sent) => look.fail(FOR_GOOD)],
    ['it is not certain', (look: Sent) => look.answer(found([], false))],
  ])('says at once that an event may be published where %s', async (_, end) => {
    const id = publish('a1');
    sent[0]!.fail(NO_ANSWER);
    await later();
    end(sent[1]!);
    await isRejected(id, true);
  });

  it('looks for an attempt as far back as that was made, and not those before', async () => {
    void publish('a1');
    await sleep(1_000);
    sent[0]!.fail(NO_ANSWER);
    await later();
    sent[1]!.answer(found());
    await turn();
    sent[2]!.fail(NO_ANSWER);
    await later();
    expect(ages[1]! - ages[0]!).toBeLessThan(0);
  });

  it('sends a transient event again that was not sent, and no other', async () => {
    const [notSent, unanswered] = [publish('a1', 'never'), publish('a2', 'never')];
    sent[0]!.fail(NOT_SENT);
    sent[1]!.fail(NO_ANSWER);
    await isRejected(unanswered, true);
    await later();
    sent[2]!.answer('sent');
    expect(await notSent).toBe('sent');
    expect(names()).toEqual(['a1', 'a2', 'a1']);
  });

  it('sends nothing that names something else before what is under way is answered', async () => {
    for (const [n, what] of ['', '', 'id', 'id', ''].entries()) void publish(`a${n}`, 'if not found', what);
    expect(names()).toEqual(['a0', 'a1']);
    sent[1]!.answer('1');
    await turn();
    expect(names()).toEqual(['a0', 'a1']);
    sent[0]!.answer('0');
    await turn();
    expect(names()).toEqual(['a0', 'a1', 'a2', 'a3']);
    sent[2]!.fail(FOR_GOOD);
    sent[3]!.answer('3');
    await turn();
    expect(names().at(-1)).toBe('a4');
  });

  it('tells whose answer it was, also where the channel is elsewhere by then', async () => {
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

  it('fails at once what is refused for good', async () => {
    const id = publish('a1');
    sent[0]!.fail(FOR_GOOD);
    await isRejected(id, false);
  });

  it('says that an event may be published whose answer has not come in 5 s', async () => {
    jest.useRealTimers();
    await isRejected(publish('a1'), true, 5_000);
  });

  it('holds nothing up with what was given up while its server is away', async () => {
    jest.useRealTimers();
    const all = publish('a1', 'if not found', '', 67_108_864);
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

  it('takes nothing after it was closed, and fails what was not sent and what is not answered', async () => {
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
