import { describe, expect, it } from '@jest/globals';
import { connect } from './index.js';

const FEED = 'http://127.0.0.1:1/feed';

describe('The options of connect()', () => {
  it.each<[option: string, values: unknown[], what: string]>([
    [
      'headers',
      [null, 'a', 1, { a: 1 }, { a: undefined }, Promise.resolve({}), new Date()],
      'a function or an object of strings',
    ],
    ['ticket', [null, 'a', {}, Promise.resolve('a')], 'a function'],
    ['lastEventId', [null, 5, 'a\nb', 'a\rb', 'a\0b', {}], 'a string without line breaks'],
    ['snapshot', [null, {}, { lastEventId: '1' }], 'a function'],
    ['fetch', [null, 'fetch', {}], 'a function'],
    ['share', [null, 'orders', true], 'a function'],
    ['signal', [null, true, {}, new AbortController()], 'an AbortSignal'],
  ])('refuse a wrong %s', (option, values, what) => {
    for (const value of values) {
      expect(() => connect(FEED, { [option]: value })).toThrow(TypeError);
      expect(() => connect(FEED, { [option]: value })).toThrow(`Expected \`${option}\` to be ${what}, got `);
    }
  });

  it.each(['header', 'withCredentials', 'constructor', '0'])(
    'refuse the unknown %s, and name the known ones',
    (name) => {
      expect(() => connect(FEED, { [name]: () => undefined })).toThrow(
        `Expected one of headers,ticket,lastEventId,snapshot,fetch,share,signal, got ${name}`,
      );
    },
  );

  it('may be undefined, as a missing option is', () => {
    const names = ['headers', 'ticket', 'lastEventId', 'snapshot', 'fetch', 'share', 'signal'];
    const source = connect(FEED, Object.fromEntries(names.map((name) => [name, undefined])));
    expect([source.state, source.lastEventId]).toEqual(['connecting', '']);
    source.close();
  });

  it.each([
    ['/feed', /Failed to parse URL/],
    ['', /Failed to parse URL/],
    ['http://', /Failed to parse URL/],
    ['http://ann:secret@127.0.0.1/feed', /credentials/],
    ['localhost:3000/feed', /Expected an HTTP URL, got localhost:3000\/feed/],
    ['ws://127.0.0.1/feed', /Expected an HTTP URL/],
    [undefined, /Failed to parse URL/],
  ])('refuse the URL %s', (url, message) => {
    expect(() => connect(url as string)).toThrow(message);
  });
});
