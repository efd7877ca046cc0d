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

  it('may be an instance of a class with fields of its own', () => {
    class Counted implements SseStreamFormat {
      count = 0;
      event = () => `data: ${this.count++}\n\n`;
      end = () => '';
    }
    expect(SseStream({ format: new Counted() })).toBeInstanceOf(Function);
  });
});
