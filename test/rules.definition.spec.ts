import { Controller } from '@nestjs/common';
import { describe, expect, it } from '@jest/globals';
import { ChannelGuard, fromQuery, SseChannel, SseModule } from 'nestjs-sse-channels';
import { expressionOf } from '../src/routes/channel-pattern.js';
import { platforms, startApp } from './support/app.js';
import { connect } from './support/client.js';

describe('The definition of a rule', () => {
  it.each([
    /(team|org)(-?\w+)*/,
    /(a+)+/,
    /(a*)*b/,
    /(a|a)*/,
    /(a|b|ab)+c/,
    /(?:a?){50}a{50}/,
    /\w*\w*\w*\w*\w*x/,
    /\w+-\w+-\w+-\w+/,
    /(.*)(.*)(.*)(.*)(.*)=/,
    /(?<name>a+)+/,
    /(a{1,100}){1,100}/,
    /(a)\1/,
    /(?<x>a)\k<x>/,
    /(?=a)a/,
    /(?!a)b/,
    /(?<=a)b/,
    /(?<!a)b/,
    /([a-z]+-?)+/,
    /((a|b)|(a|c)){30}/,
    /(?:\w+)*(?:-{201,300}){0,1}@/,
    /(a+){0}(b*)*c{0}/,
    /(?:(?:a|b){99999}){0,1}(?:\w+)*/,
  ])('fails for an expression that could take long for some channel name: %s', (allow) => {
    expect(() => SseChannel('x', { allow })).toThrow(expect.objectContaining({ code: 'SSE_OPTIONS' }));
    expect(() => ChannelGuard(allow, fromQuery)).toThrow('`allow`');
  });

  it.each<[RegExp, string]>([
    [/team-\d+/, 'team-12'],
    [/(?:team|org)-\w+/, 'org-x'],
    [/(?<kind>team|org)-[\w-]+/i, 'TEAM-x'],
    [/order:\d{4}-\d{2}(:items)?/, 'order:2026-11:items'],
    [/[(*+]?news/, 'news'],
    [/a\(b\)|news/, 'news'],
    [/\w+-\w+-\w+/, 'a-b-c'],
    [/\p{L}+/u, 'Café'],
  ])('accepts an expression that takes few steps, and matches only whole names: %s', (allow, channel) => {
    expect(() => SseChannel('x', { allow })).not.toThrow();
    const matches = expressionOf(allow);
    expect(matches(channel)).toBe(true);
    expect(matches(`x/${channel}`)).toBe(false);
    expect(matches(`${channel}/x`)).toBe(false);
  });

  it.each<[string, unknown]>([
    ['undefined', undefined],
    ['null', null],
    ['an arrow function', (channel: string) => channel === 'news'],
    ['a text', 'news'],
    ['an object', {}],
    ['a pattern whose brace is open', ['team-{id']],
    ['a pattern with a brace too many', ['team-{id}}']],
    ['a pattern whose parameter has no name', ['team-{}']],
    ['a pattern whose parameters touch', ['{a}{b}']],
    ['a pattern with a space', ['a b-{id}']],
    ['a list with a number', [7]],
  ])('fails for %s', (_what, allow) => {
    expect(() => SseChannel('x', { allow: allow as [] })).toThrow();
    expect(() => ChannelGuard(allow as [], fromQuery)).toThrow();
  });

  it('prevents the start for a class without authorize(), and for a class with hooks that is not a provider', async () => {
    class Nothing {
      readonly name = 'nothing';
    }
    class Loaded {
      onModuleInit = () => undefined;
      authorize = () => true;
    }
    // oxlint-disable-next-line func-names -- as an application may write it
    const written = function (channel: string) {
      return channel === 'news';
    };
    for (const [allow, message] of [
      [Nothing, 'a class with authorize()'],
      [written, 'a class with authorize()'],
      [Loaded, 'among the providers'],
    ] as const) {
      @Controller()
      class Routes {
        @SseChannel('x', { allow: allow as never })
        x() {
          return 'news';
        }
      }
      const metadata = { imports: [SseModule.forRoot()], controllers: [Routes] };
      const starting = startApp(platforms[0][1], metadata);
      await expect(starting).rejects.toMatchObject({
        code: 'SSE_OPTIONS',
        message: expect.stringContaining(message),
      });
      if (allow !== Loaded) continue;
      const { url } = await startApp(platforms[0][1], { ...metadata, providers: [Loaded] });
      expect((await connect(`${url}/x`)).status).toBe(200);
    }
  });
});
