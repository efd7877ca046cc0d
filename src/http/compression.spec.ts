import { ServerResponse, IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import { describe, expect, it } from '@jest/globals';
import { acceptsGzip, encodingOf } from './compression.js';
import type { PlatformRequest, PlatformResponse } from './platform.js';

describe('A client that sends Accept-Encoding', () => {
  it.each([
    'gzip',
    'gzip, deflate, br, zstd',
    'deflate;q=0.5 , GZIP ; Q=0.3',
    'x-gzip',
    '*',
    'br, *;q=0.1',
    'gzip;q=0.001',
    'gzip;q=1.000, identity;q=0',
    'identity;q=0.5, gzip;q=0.5',
    'identity;q=0.4, *;q=0.5',
    'gzip;level=9',
    'gzip,',
  ])('gets gzip: %s', (header) => {
    expect(acceptsGzip(header)).toBe(true);
  });

  it.each([
    undefined,
    '',
    'identity',
    'br, deflate',
    'gzip;q=0',
    'gzip; q=0.000',
    'x-gzip;q=0',
    '*;q=0',
    'gzip;q=0, *',
    'gzip;q=0.5, identity',
    '*;q=0.5, gzip;q=0.2',
    '*;q=0.5, identity;q=0.6',
    'gzip;q=',
    'gzip;q=high',
    'gzip;q=-1',
    'gzipped',
    'not gzip',
  ])('gets the text as it is: %s', (header) => {
    expect(acceptsGzip(header)).toBe(false);
  });

  it('may send as many codings as fit into a request', () => {
    expect(acceptsGzip(`${'br;q=0.5 ; '.repeat(10_000)},`.repeat(20))).toBe(false);
  });
});

describe('The headers of a response', () => {
  const request = (accepted?: string) => ({ headers: { 'accept-encoding': accepted } }) as PlatformRequest;
  const response = (headers: Record<string, string | string[]> = {}) => {
    const made = new ServerResponse(new IncomingMessage(new Socket()));
    for (const [name, value] of Object.entries(headers)) made.setHeader(name, value);
    return made as unknown as PlatformResponse;
  };
  const on = { minBytes: 7 };

  it('are those of the response alone without compression', () => {
    const own = { 'X-Own': '1' };
    expect(encodingOf(false, request('gzip'), response(), own)).toEqual({ headers: own });
  });

  it('name the encoding, and that it depends on the request', () => {
    expect(encodingOf(on, request('gzip'), response(), { 'X-Own': '1' })).toEqual({
      headers: { 'X-Own': '1', Vary: 'Accept-Encoding', 'Content-Encoding': 'gzip' },
      gzip: 7,
    });
    expect(encodingOf(on, request(), response())).toEqual({ headers: { Vary: 'Accept-Encoding' } });
  });

  it.each<[string | string[], string]>([
    ['Origin', 'Origin, Accept-Encoding'],
    [['Origin', 'Cookie'], 'Origin, Cookie, Accept-Encoding'],
    ['accept-encoding, Origin', 'accept-encoding, Origin'],
    ['*', '*'],
  ])('keep the Vary %j', (vary, expected) => {
    expect(encodingOf(on, request(), response({ vary })).headers).toEqual({ Vary: expected });
    expect(encodingOf(on, request(), response(), { vary: String(vary) }).headers).toEqual({ Vary: expected });
  });

  it('have the Vary of the application and that of the response', () => {
    const both = encodingOf(on, request(), response({ vary: 'Origin' }), { vary: 'X-Own' });
    expect(both.headers).toEqual({ Vary: 'Origin, X-Own, Accept-Encoding' });
  });

  it.each([false, on] as const)('never say `identity`, with compression %j', (compression) => {
    for (const value of ['identity', 'Identity']) {
      const plain = response({ 'Content-Encoding': value });
      expect(encodingOf(compression, request('gzip'), plain).gzip).toBeUndefined();
      expect(plain.getHeaders()).toEqual({});
      const own = encodingOf(compression, request('gzip'), response(), { 'content-encoding': value });
      expect(own).toEqual({ headers: compression ? { Vary: 'Accept-Encoding' } : {} });
    }
  });

  it('keep an encoding that something else has set, and remove one that says not to compress', () => {
    const encoded = response({ 'Content-Encoding': 'br' });
    expect(encodingOf(on, request('gzip'), encoded).gzip).toBeUndefined();
    expect(encoded.getHeaders()).toEqual({ 'content-encoding': 'br' });
    const plain = response({ 'Content-Encoding': 'identity' });
    expect(encodingOf(on, request('gzip'), plain)).toEqual({ headers: { Vary: 'Accept-Encoding' } });
    expect(plain.getHeaders()).toEqual({});
    const own = { 'content-encoding': 'zstd' };
    expect(encodingOf(on, request('gzip'), response(), own).headers).toEqual({
      ...own,
      Vary: 'Accept-Encoding',
    });
  });
});
