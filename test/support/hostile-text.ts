import * as fc from 'fast-check';

const nasty = fc.constantFrom(
  '__proto__',
  'constructor',
  'toString',
  '\0',
  '\r\nSet-Cookie: a=b',
  '\ndata: x\n\n',
  'a\r\n$4\r\nQUIT\r\n',
  '*',
  '{news}',
  '../news',
  '%00',
  '+',
  '-',
  '$',
  '0000000000-0',
  '(1763884800000-1',
  '1763884800000-1 COUNT 1',
  '’; return call("FLUSHALL") --',
  '!disconnect',
  'sse:{news}:history',
  'e\u0301',
  'ﬁ',
  '\u202enews',
  '\ud800',
  '😀',
  'x'.repeat(201),
  'x'.repeat(5_000),
);
/** Texts that could break a protocol, a command or a check. */
export const text = fc.oneof(nasty, fc.string({ unit: 'binary', maxLength: 300 }), fc.string());

/** Replaces lone surrogates, which have no UTF-8 encoding. */
export const wellFormed = (value: string) => Buffer.from(value).toString();
