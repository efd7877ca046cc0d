import { BadRequestException } from '@nestjs/common';
import { describe, expect, it } from '@jest/globals';
import { type SseStreamProducer, SseStreams, type SseStreamWriter } from 'nestjs-sse-channels';
import { platforms } from './support/app.js';
import { watchLog } from './support/log.js';
import { startHeld, startNode, stores } from './support/streams-app.js';
import { eventually, until } from './support/until.js';

const [[, platform]] = platforms;

const log = watchLog();

/** A ReadableStream of these values. */
const streamOf = (values: readonly number[]) =>
  new ReadableStream<number>({
    start(controller) {
      for (const value of values) controller.enqueue(value);
      controller.close();
    },
  });

/** The events of a stream as they are read in the process. */
async function read(streams: SseStreams, id: string) {
  const events: unknown[] = [];
  for await (const { type, data } of streams.events(id)) events.push(type ? [type, data] : data);
  return events;
}

describe.each(stores)('The producer of a stream %s', (_, options) => {
  const start = () => startNode(platform, options());
  const produce = async (producer: SseStreamProducer) => {
    const { streams } = await start();
    const { done } = await streams.start('a', producer);
    return { end: await eventually('The end', done), events: await read(streams, 'a') };
  };

  it('writes any JSON value, with and without a type', async () => {
    const { events } = await produce((out) => {
      out.write('text', { type: 'a' });
      out.write({ n: [1, null] });
      out.write(null);
      out.write('two\nlines');
    });
    expect(events).toEqual([
      ['a', 'text'],
      { n: [1, null] },
      null,
      'two\nlines',
      ['sse.end', { status: 'done' }],
    ]);
  });

  it.each([
    [
      'a generator',
      function* () {
        yield* [1, 2, 3];
      },
    ],
    [
      'an async generator',
      async function* () {
        yield* [1, 2, 3];
      },
    ],
    [
      'an iterable of its own',
      () => ({
        [Symbol.asyncIterator]: async function* () {
          yield* [1, 2, 3];
        },
      }),
    ],
    ['a ReadableStream', async () => streamOf([1, 2, 3])],
    ['pipe()', (out: SseStreamWriter) => out.pipe([1, 2, 3])],
    [
      'a stream of a polyfill',
      (out: SseStreamWriter) => {
        const values = [1, 2, 3];
        const reader = {
          read: async () => ({ done: values.length === 0, value: values.shift() }),
          cancel: async () => undefined,
        };
        return out.pipe({ getReader: () => reader } as unknown as ReadableStream);
      },
    ],
  ] as [string, SseStreamProducer][])('gives its events as %s', async (__, producer) => {
    expect((await produce(producer)).events).toEqual([1, 2, 3, ['sse.end', { status: 'done' }]]);
  });

  it.each([
    [
      'throws',
      () => {
        throw new Error('secret');
      },
      'failed',
    ],
    ['rejects', () => Promise.reject(new Error('secret')), 'failed'],
    [
      'fails in its source',
      async function* () {
        yield 1;
        throw new Error('secret');
      },
      'failed',
    ],
    [
      'throws an HTTP exception',
      () => {
        throw new BadRequestException('No such\nmodel');
      },
      'No such model',
    ],
    ['calls fail() with a text', (out: SseStreamWriter) => void out.fail('quota'), 'quota'],
    ['writes what is no JSON', (out: SseStreamWriter) => void out.write(undefined), 'failed'],
  ] as [string, SseStreamProducer, string][])(
    'ends the stream as error if it %s',
    async (__, producer, reason) => {
      const { end, events } = await produce(producer);
      expect(end).toEqual({ status: 'error', reason });
      expect(events.at(-1)).toEqual(['sse.end', end]);
      expect(JSON.stringify(events)).not.toContain('secret');
    },
  );

  it.each([
    ['a text with a line break', 'two\nlines', 'two lines'],
    ['no text', '', 'failed'],
    ['a long text', 'x'.repeat(300), 'x'.repeat(200)],
    ['null', null, 'failed'],
    [
      'what throws when it is read',
      {
        get getStatus() {
          throw new Error('no');
        },
      },
      'failed',
    ],
    ['an exception without a text', { getStatus: () => 400, message: 5 }, 'failed'],
  ])('ends the stream as error if it throws %s', async (__, thrown, reason) => {
    // oxlint-disable-next-line no-throw-literal -- applications do
    const { end } = await produce(() => {
      throw thrown;
    });
    expect(end).toEqual({ status: 'error', reason });
  });

  it.each([
    [
      'the results of its writes',
      async (out: SseStreamWriter) => Promise.all([1, 2].map(async (n) => out.write(n))),
    ],
    [
      'a Map',
      async (out: SseStreamWriter) => {
        await out.pipe([1, 2]);
        return new Map([['secret', 1]]);
      },
    ],
    [
      'a Buffer',
      async (out: SseStreamWriter) => {
        await out.pipe([1, 2]);
        return Buffer.from('secret');
      },
    ],
  ] as [string, SseStreamProducer][])('does not send what it returns if that is %s', async (__, producer) => {
    expect((await produce(producer)).events).toEqual([1, 2, ['sse.end', { status: 'done' }]]);
  });

  it('has its source cancelled when the stream is stopped, also while that waits', async () => {
    const { streams } = await start();
    let isCancelled = false;
    const source = new ReadableStream<number>({
      start: (controller) => controller.enqueue(1),
      pull: () => new Promise(() => {}),
      cancel: () => void (isCancelled = true),
    });
    const { done } = await streams.start('a', () => source);
    await until(async () => (await streams.status('a')).state === 'live');
    expect(await streams.abort('a')).toBe('stopped');
    expect(await done).toEqual({ status: 'aborted', reason: 'user' });
    await until(() => isCancelled);
  });

  it('may write more than one call stores, and end at once', async () => {
    const text = 'x'.repeat(100_000);
    const { end, events } = await produce((out) => {
      for (let n = 0; n < 40; n++) out.write(n + text);
    });
    expect(end).toEqual({ status: 'done' });
    expect(events.slice(0, -1).map((data) => parseInt(String(data), 10))).toEqual(
      Array.from({ length: 40 }, (__, n) => n),
    );
  });

  it('that writes after its end has its events dropped, and the log says so', async () => {
    const { streams } = await start();
    let late!: SseStreamWriter;
    const { done } = await streams.start('a', (out) => void (late = out));
    await done;
    expect(late.write('late')).toBe(false);
    expect(log.failed.mock.calls.join('\n')).toContain(
      'Events of stream a are dropped: they are written after its end',
    );
    expect(await read(streams, 'a')).toEqual([['sse.end', { status: 'done' }]]);
  });

  it('may open a stream as a writer, and has to end it', async () => {
    const { streams } = await start();
    const out = await streams.open('a');
    out.write(1);
    expect((await streams.status('a')).state).toBe('live');
    expect(await out.end()).toEqual({ status: 'done' });
    expect(await out.end()).toEqual({ status: 'done' });
    expect(await out.fail('too late')).toEqual({ status: 'done' });
    const failing = await streams.open('b');
    expect(await failing.fail('no model')).toEqual({ status: 'error', reason: 'no model' });
    expect(await read(streams, 'a')).toEqual([1, ['sse.end', { status: 'done' }]]);
  });

  it('is told of in stats()', async () => {
    const { streams, sse } = await start();
    const { release, handle } = await startHeld(streams, 'a');
    expect(sse.stats().streams).toMatchObject({ live: 1, started: 1 });
    release();
    await handle.done;
    await (
      await streams.start('b', (out) => void out.fail('no'))
    ).done;
    const aborted = await startHeld(streams, 'c');
    await streams.abort('c');
    await aborted.handle.done;
    const ended = { done: 1, error: 1, aborted: 1, lost: 0 };
    await until(() => sse.stats().streams.live === 0);
    expect(sse.stats().streams).toEqual({ live: 0, started: 3, ended });
  });

  it('is aborted when the application closes, and cannot start another stream', async () => {
    const { app, streams } = await start();
    const { handle } = await startHeld(streams, 'a');
    await app.close();
    expect(await handle.done).toEqual({ status: 'aborted', reason: 'shutdown' });
    await expect(streams.start('b', () => undefined)).rejects.toMatchObject({ code: 'SSE_UNAVAILABLE' });
  });
});
