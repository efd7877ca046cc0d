import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import type { Batch } from './batch.js';
import { Frame } from './frame.js';
import { Outbox } from './outbox.js';

const INTERVAL = 50;

describe('An outbox with an interval', () => {
  let start: number;
  let outbox: Outbox;
  beforeEach(() => {
    jest.useFakeTimers();
    start = Date.now();
    outbox = new Outbox(INTERVAL);
  });
  afterEach(() => void jest.useRealTimers());

  /** Lets time pass. Events of one point in time are in one turn. */
  const goTo = (ms: number) => {
    if (Date.now() < start + ms) jest.advanceTimersByTime(start + ms - Date.now());
  };

  /** A response that records when it is written, and the batch. */
  const startResponse = () => {
    const writes: { at: number; batch: Batch }[] = [];
    let batch: Batch | undefined;
    const response = {
      writtenIn: 0,
      flush() {
        if (batch) writes.push({ at: Date.now() - start, batch });
        batch = undefined;
      },
    };
    return {
      response,
      writes,
      next: (frame: Frame) => void (batch = (batch ?? outbox.begin(response)).with(frame)),
      texts: () => writes.map(({ at, batch: written }) => [at, written.bytes.toString()]),
    };
  };

  const [a, b, c, d] = ['a', 'b', 'c', 'd'].map((text) => new Frame(text)) as [Frame, Frame, Frame, Frame];

  it('sends the first event after a silence at once, and the events of each interval together', () => {
    const { next, texts } = startResponse();
    const due: [number, Frame][] = [
      [0, a],
      [0, b],
      [10, c],
      [20, d],
      [60, a],
      [99, b],
      [120, c],
      [400, d],
      [420, a],
      [1_000, b],
    ];
    for (const [at, frame] of due) {
      goTo(at);
      next(frame);
    }
    goTo(2_000);
    expect(texts()).toEqual([
      [0, 'ab'],
      [50, 'cd'],
      [100, 'ab'],
      [150, 'c'],
      [400, 'd'],
      [450, 'a'],
      [1_000, 'b'],
    ]);
  });

  it('shares each batch between all responses that get the same events', () => {
    const responses = Array.from({ length: 5 }, startResponse);
    for (const frame of [a, b, c]) {
      for (const { next } of responses) next(frame);
      jest.advanceTimersByTime(10);
    }
    goTo(100);
    const [first, ...others] = responses.map(({ writes }) => writes);
    expect(first).toHaveLength(2);
    for (const writes of others) {
      expect(writes.map(({ batch }) => batch)).toEqual(first!.map(({ batch }) => batch));
      for (const [n, { batch }] of writes.entries()) expect(batch).toBe(first![n]!.batch);
    }
  });

  it('has one timer for all responses, and none while there is nothing to send', () => {
    const responses = Array.from({ length: 5 }, startResponse);
    for (const { next } of responses) next(a);
    goTo(10);
    for (const { next } of responses) next(b);
    startResponse().next(c);
    goTo(11);
    expect(jest.getTimerCount()).toBe(1);
    goTo(60);
    expect(jest.getTimerCount()).toBe(1);
    goTo(110);
    expect(jest.getTimerCount()).toBe(0);
  });

  it('does not delay a silent response because others are busy', () => {
    const [busy, silent] = [startResponse(), startResponse()];
    for (let at = 0; at < 200; at += 10) {
      goTo(at);
      busy.next(a);
      if (at === 130) silent.next(b);
      if (at === 140) silent.next(c);
    }
    goTo(300);
    expect(silent.texts()).toEqual([
      [130, 'b'],
      [150, 'c'],
    ]);
    expect(busy.texts().map(([at]) => at)).toEqual([0, 50, 100, 150, 200]);
  });

  it('sends a response that hurries at the end of the turn, and its later events with the interval', () => {
    const { response, next, texts } = startResponse();
    next(a);
    goTo(10);
    next(b);
    outbox.hurry(response);
    goTo(11);
    next(c);
    goTo(60);
    expect(texts()).toEqual([
      [0, 'a'],
      [10, 'b'],
      [50, 'c'],
    ]);
  });

  it('delays no event for longer than the interval, and keeps the order', () => {
    const responses = Array.from({ length: 20 }, () => ({ ...startResponse(), due: [] as number[] }));
    let seed = 7;
    const random = (below: number) => (seed = (seed * 48_271) % 2_147_483_647) % below;
    for (let at = 0; at < 3_000; at++) {
      goTo(at);
      for (const { next, due } of responses) {
        // Some get many events, and some few.
        if (random(1 + (due.length % 7) * 20) > 0) continue;
        next(new Frame(`${at} `));
        due.push(at);
      }
    }
    goTo(4_000);
    for (const { writes, due } of responses) {
      const sent = writes.flatMap(({ at, batch }) =>
        batch.bytes
          .toString()
          .trim()
          .split(' ')
          .map((text) => ({ at, due: Number(text) })),
      );
      expect(sent.map((event) => event.due)).toEqual(due);
      expect(Math.max(...sent.map((event) => event.at - event.due))).toBeLessThanOrEqual(INTERVAL);
      expect(writes.length).toBeLessThanOrEqual(2 + (2 * 3_000) / INTERVAL);
    }
  });
});

describe('An outbox without an interval', () => {
  beforeEach(() => void jest.useFakeTimers());
  afterEach(() => void jest.useRealTimers());

  it('sends the events of each turn at its end', () => {
    const outbox = new Outbox();
    let writes = 0;
    const response = { writtenIn: 0, flush: () => void writes++ };
    for (let n = 1; n <= 3; n++) {
      outbox.begin(response);
      jest.advanceTimersByTime(0);
      expect([writes, jest.getTimerCount()]).toEqual([n, 0]);
    }
  });
});
