import { describe, expect, it } from '@jest/globals';
import { SseStream, type SseStreamFormat } from 'nestjs-sse-channels';

describe('The option `format`', () => {
  const event = () => '';
  it.each([
    [undefined, 'got undefined'],
    ['ai', 'got "ai"'],
    [{ event }, 'an object with event() and end()'],
    [{ event, end: event, header: {} }, 'header'],
  ])('is refused when the class is defined, if it is %j', (format, named) => {
    expect(() => SseStream({ format: format as SseStreamFormat })).toThrow(named);
  });

  it.each([
    ['headers', { 'x-a': 'a\nb' }],
    ['headers', { 'x a': '1' }],
    ['headers', { 'x-a': undefined }],
    ['headers', { 'content-type': 'application/x-ndjson' }],
    ['headers', { 'CACHE-CONTROL': 'public' }],
    ['headers', { 'content-length': '1' }],
    ['replaysEnded', 'false'],
    ['nothing', 404],
    ['after', 5],
    ['start', ''],
  ])('is refused with %s %j', (name, value) => {
    const format = { event, end: event, [name]: value } as unknown as SseStreamFormat;
    expect(() => SseStream({ format })).toThrow(`format.${name}`);
  });

  it('may be an instance of a class with fields of its own', () => {
    class Prefixed implements SseStreamFormat {
      constructor(readonly prefix: string) {}
      event = () => `data: ${this.prefix}\n\n`;
      end = () => '';
    }
    expect(SseStream({ format: new Prefixed('a') })).toBeInstanceOf(Function);
  });
});
