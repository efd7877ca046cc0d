import { get } from 'node:http';
import { describe, expect, it } from '@jest/globals';
import { Body, Controller, Post } from '@nestjs/common';
import * as fc from 'fast-check';
import {
  fromQuery,
  type PublishOptions,
  SseChannel,
  SseModule,
  SseService,
  SseTickets,
} from 'nestjs-sse-channels';
import { platforms, startApp } from './support/app.js';
import { text, wellFormed } from './support/hostile-text.js';
import { randomPrefix, startRedis } from './support/redis.js';
import { ChannelController } from './support/channel.controller.js';
import { until } from './support/until.js';

@Controller()
class HostileController extends ChannelController {
  constructor(private readonly service: SseService) {
    super(service);
  }

  @SseChannel('allowed', { channel: fromQuery, allow: ['news'] })
  allowed() {}

  @SseChannel('ticketed', { channel: fromQuery, allow: SseTickets })
  ticketed() {}

  @Post('publish')
  async publish(@Body() { data, ...options }: PublishOptions & { data?: unknown }) {
    return { id: await this.service.publish(data, options) };
  }
}

/** The only commands that input may cause, including the commands in the scripts of the module. */
const COMMANDS = new Set(
  'evalsha eval publish subscribe unsubscribe hmget xrevrange time hset expire xrange hget hlen hdel xadd xtrim xsetid pexpire set get getdel rename del pttl ttl'.split(
    ' ',
  ),
);

const name = fc.constantFrom(
  'channel',
  'channel[]',
  'channel[a]',
  'channel[__proto__]',
  'lastEventId',
  'lastEventId[]',
  'ticket',
  'ticket[]',
  'x',
);

/** Texts in the shape of a ticket, and others that almost have it. */
const ticket = fc.string({ unit: fc.constantFrom('a', 'Z', '0', '-', '_'), minLength: 42, maxLength: 44 });

/** An attacker may encode only a part of a text. */
const encode = (value: string, raw: boolean) => {
  const encoded = encodeURIComponent(wellFormed(value));
  return raw
    ? encoded.replaceAll(/%(2F|5B|5D|7B|7D|21|2A|3A|40)/gi, (_, hex: string) =>
        String.fromCharCode(parseInt(hex, 16)),
      )
    : encoded;
};

interface Answer {
  status: number;
  body: string;
}

/** Resolves with the status and the body. An event stream is closed at once. */
const ask = (url: string, headers: Record<string, string>) =>
  new Promise<Answer>((resolve, reject) => {
    const request = get(url, { headers, agent: false }, (response) => {
      let body = '';
      response.setEncoding('latin1').on('data', (chunk: string) => (body += chunk));
      const answer = () => resolve({ status: response.statusCode!, body });
      response.on('end', answer);
      if (response.statusCode !== 200) return;
      answer();
      request.destroy();
      response.on('error', () => undefined);
    });
    request.on('error', reject);
  });

describe.each(platforms)('Hostile input on %s', (_, platform) => {
  const start = async () => {
    const prefix = randomPrefix();
    // A server of its own: ioredis cannot read a command of another test in the packet that confirms MONITOR.
    const server = await startRedis();
    const { app, url } = await startApp(platform, {
      // With `requireRedis`, the commands of the start come before the monitor.
      imports: [SseModule.forRoot({ redis: server.url, prefix, requireRedis: true })],
      controllers: [HostileController],
    });
    const admin = server.admin();
    const monitor = await admin.monitor();
    const commands: string[][] = [];
    monitor.on('monitor', (_time, args: string[]) => commands.push(args));
    const stop = async () => {
      // Once the monitor shows this command, it has shown all earlier ones.
      await admin.echo(prefix);
      await until(() => commands.some(([command, word]) => command === 'echo' && word === prefix));
      const seen = [...commands];
      monitor.disconnect();
      const keys = await admin.keys(`${prefix}*`);
      admin.disconnect();
      // Commands that the module repeats, such as PING, have no prefix.
      const own = seen.filter((words) => words[0] !== 'echo' && words.some((word) => word.includes(prefix)));
      return { keys, commands: own };
    };
    return { sse: app.get(SseService), url, prefix, stop };
  };
  const ownKey = (prefix: string) =>
    new RegExp(
      `^${prefix.replaceAll(/[.*+?^$()|[\]{}\\]/g, '\\$&')}\\{(!disconnect|[\\p{L}\\p{N}_.:\\-/@~]{1,200})\\}:(history|meta|ids|ids:old|idempotency:[\\x21-\\x7e]{1,128})$`,
      'u',
    );

  it('that requests connections is refused or used unchanged, and reaches Redis as an argument only', async () => {
    const { sse, url, prefix, stop } = await start();
    const counts: Record<number, number> = {};
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom('channel', 'allowed', 'ticketed', 'sse'),
        fc.array(fc.tuple(name, fc.oneof(text, ticket), fc.boolean()), { maxLength: 4 }),
        fc.option(text),
        async (path, query, id) => {
          const search = query.map(([key, value, raw]) => `${key}=${encode(value, raw)}`).join('&');
          // Node refuses to send other headers.
          const header = id && Buffer.from(wellFormed(id)).toString('latin1');
          const isSendable = header && !/[^\t\x20-\x7e\x80-\xff]/.test(header) && header.length < 8_000;
          const { status, body } = await ask(
            `${url}/${path}?${search}`,
            isSendable ? { 'last-event-id': header } : {},
          );
          counts[status] = (counts[status] ?? 0) + 1;
          expect([200, 400, 401, 403]).toContain(status);
          if (status !== 200) expect(JSON.parse(body)).toMatchObject({ statusCode: status });
          expect(body).not.toMatch(/redis|stack|node_modules|ERR /i);
        },
      ),
      { seed: 20_261_124, numRuns: 400 },
    );
    expect(Object.keys(counts)).toEqual(['200', '400', '401', '403']);
    await until(() => sse.stats().connections === 0);
    const { keys, commands } = await stop();
    for (const key of keys) expect(key).toMatch(ownKey(prefix));
    expect(commands.length).toBeGreaterThan(0);
    for (const [command] of commands) expect(COMMANDS).toContain(command!.toLowerCase());
  });

  it('that requests publications is refused or stored unchanged, and reaches Redis as an argument only', async () => {
    const { url, prefix, stop } = await start();
    const counts: Record<number, number> = {};
    const value = fc.oneof(text, fc.jsonValue());
    const publication = fc.record(
      {
        data: value,
        channel: value,
        type: value,
        id: value,
        retry: value,
        idempotencyKey: value,
        transient: value,
      },
      { requiredKeys: ['data'] },
    );
    const polite = fc.record(
      { data: value, channel: fc.constant('news'), type: text },
      { requiredKeys: ['data'] },
    );
    await fc.assert(
      fc.asyncProperty(fc.oneof(publication, polite), async (body) => {
        const response = await fetch(`${url}/publish`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify(body),
        });
        counts[response.status] = (counts[response.status] ?? 0) + 1;
        expect([201, 400]).toContain(response.status);
        expect(await response.text()).not.toMatch(/redis|stack|node_modules/i);
      }),
      { seed: 20_261_124, numRuns: 400 },
    );
    expect(counts[201]).toBeGreaterThan(20);
    expect(counts[400]).toBeGreaterThan(20);
    const { keys, commands } = await stop();
    expect(keys.length).toBeGreaterThan(0);
    for (const key of keys) expect(key).toMatch(ownKey(prefix));
    expect(commands.length).toBeGreaterThan(0);
    for (const [command] of commands) expect(COMMANDS).toContain(command!.toLowerCase());
  });
});
