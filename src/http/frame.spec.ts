import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { createParser, type EventSourceMessage } from 'eventsource-parser';
import { completeBody, decodeMessage, encodeBody } from '../event/message.js';
import { ChannelEvent } from '../channel/channel-event.js';
import { checkPublication } from '../event/event.js';
import { SharedBatch } from './batch.js';
import { encodeEvent, firstFrames, frameOf } from './frame.js';

const parse = (pieces: Uint8Array[]) => {
  const events: EventSourceMessage[] = [];
  let retry: number | undefined;
  const parser = createParser({
    onEvent: (event) => events.push(event),
    onRetry: (value) => (retry = value),
  });
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  for (const piece of pieces) parser.feed(decoder.decode(piece, { stream: true }));
  return { events, retry };
};

describe('A frame', () => {
  it('has the fields in the order Nest writes them', () => {
    expect(encodeEvent({ type: 't', id: 'i', retry: 5, data: { a: 1 } })).toBe(
      'event: t\nid: i\nretry: 5\ndata: {"a":1}\n\n',
    );
    expect(encodeEvent({ id: 'i', data: '' })).toBe('id: i\ndata: \n\n');
  });

  it.each([
    '',
    'x',
    ' x',
    'a\nb',
    'a\r\nb\rc',
    '\n',
    'a\n\n',
    'data: x',
    ':',
    '\u2028',
    '😀',
    'id: 1\n\nevent: y',
  ])('is one event with the published data and normalised line breaks: %j', (data) => {
    const { events, retry } = parse([Buffer.from(encodeEvent({ type: 't', id: 'i', retry: 0, data }))]);
    expect(events).toEqual([{ event: 't', id: 'i', data: data.replaceAll(/\r\n?/g, '\n') }]);
    expect(retry).toBe(0);
  });

  it('is exactly one event for any input of publish(), however its bytes are split', () => {
    const text = fc.oneof(
      fc.string(),
      fc.string({ unit: 'binary' }),
      fc.constantFrom('\n', '\r\n', '\r', ':', 'id: 1\n\n'),
    );
    const given = fc.record(
      {
        type: text,
        id: text,
        retry: fc.nat(4_000_000),
        data: fc.oneof(text, fc.jsonValue()),
        cut: fc.infiniteStream(fc.integer({ min: 1, max: 9 })),
      },
      { requiredKeys: ['data', 'cut'] },
    );
    let accepted = 0;
    fc.assert(
      fc.property(given, ({ data, cut, ...options }) => {
        let message;
        try {
          message = decodeMessage(
            completeBody(encodeBody(checkPublication(data, options, 1_000_000), true), {
              cursor: '1763884800000-1',
              prev: '1763884800000-0',
              id: options.id,
            }),
          )!;
        } catch (error) {
          expect(error).toMatchObject({ code: 'SSE_INPUT' });
          return;
        }
        accepted++;
        const id = message.id ?? message.cursor!;
        const frame = frameOf(new ChannelEvent('c', { ...message, id }, ''));
        const batch = new SharedBatch().with(frame) as SharedBatch;
        const { bytes } = batch;
        const { type, retry, json } = message;
        expect(bytes.toString()).toBe(Buffer.from(encodeEvent({ type, retry, id, data }, json)).toString());
        const own = new SharedBatch().with(frame, id, true).chunk;
        expect(Buffer.from(own)).toEqual(Buffer.from(batch.chunk));
        expect(batch.chunk.toString('latin1')).toBe(
          `${bytes.length.toString(16)}\r\n${bytes.toString('latin1')}\r\n`,
        );
        const pieces: Buffer[] = [];
        for (let at = 0; at < bytes.length; at += pieces.at(-1)!.length)
          pieces.push(bytes.subarray(at, at + cut.next().value));
        const sent = typeof data === 'string' ? data : JSON.stringify(data);
        expect(parse(pieces)).toEqual({
          events: [
            { event: options.type, id, data: Buffer.from(sent).toString().replaceAll(/\r\n?/g, '\n') },
          ],
          retry: options.retry,
        });
      }),
      { seed: 20_261_123, numRuns: 1_500 },
    );
    expect(accepted).toBeGreaterThan(300);
  });

  it('is encoded once for all subscribers of an event', () => {
    const event = new ChannelEvent('c', { id: 'i', json: '"x"', size: 3 }, '');
    expect(frameOf(event)).toBe(frameOf(event));
  });

  it.each([
    { type: 'ü', id: 'own', data: 'a\nb' },
    { id: 'by somebody else: ü', data: 'x' },
    { id: '1763884800000-1', retry: 5, data: { a: '漢' } },
  ])('differs only in its id, if the connection has a different id: %j', (given) => {
    const { data, ...fields } = given;
    const event = new ChannelEvent('c', { ...fields, json: JSON.stringify(data), size: 3 }, '');
    const id = 'tag.1-1~tag.2-2';
    expect(frameOf(event).text(id)).toBe(encodeEvent({ ...given, id }));
    expect(frameOf(event).text()).toBe(encodeEvent(given));
  });
});

describe('The first frames of responses', () => {
  it('have between 0.5 and 1.5 times the reconnection time, and are not events', () => {
    const frames = firstFrames(100, 15_000).map((frame) => Buffer.from(frame.text()));
    expect(frames.map((frame) => parse([frame]))).toEqual(
      frames.map(() => ({ events: [], retry: expect.any(Number) })),
    );
    const times = frames.map((frame) => parse([frame]).retry!);
    expect([Math.min(...times), Math.max(...times)]).toEqual([50, 150]);
  });

  it('name the interval of the heartbeats in their first comment, inside the block of the next event', () => {
    for (const frame of firstFrames(100, 15_000))
      expect(frame.text()).toMatch(/^retry: \d+\n:heartbeat 15000\n$/);
  });
});
