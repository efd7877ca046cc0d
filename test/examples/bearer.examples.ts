import {
  type CanActivate,
  type ExecutionContext,
  Injectable,
  type Type,
  UnauthorizedException,
  UseGuards,
} from '@nestjs/common';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { SseModule, SseService } from 'nestjs-sse-channels';
import type { BrowserContext } from 'playwright-core';
import type { SseSource } from '../../src/client/index.js';
import { platforms, startApp } from '../support/app.js';
import { closePages, launchChromium } from '../support/chromium.js';
import { Site } from '../support/page.js';
import { moduleOf, snippetsOf } from '../support/recipes.js';
import { randomPrefix, redisUrl } from '../support/redis.js';
import { Relay } from '../support/relay.js';
import { until } from '../support/until.js';

const RECIPE = 'bearer-tokens.md';

/** Takes the tokens `<number> of ann`. */
@Injectable()
class BearerGuard implements CanActivate {
  canActivate(context: ExecutionContext) {
    const request = context
      .switchToHttp()
      .getRequest<{ headers: { authorization?: string }; user: unknown }>();
    const id = /^Bearer \d+ of (\w+)$/.exec(request.headers.authorization ?? '')?.[1];
    if (id === undefined) throw new UnauthorizedException();
    request.user = { id, issuedAt: new Date(), expiresAt: new Date(Date.now() + 3_600_000) };
    return true;
  }
}

let context: BrowserContext;
let site: Site;
const sources: SseSource[] = [];
beforeAll(async () => {
  [context, site] = await Promise.all([launchChromium(), Site.start()]);
});
afterEach(async () => {
  for (const source of sources.splice(0)) source.close();
  await closePages(context);
});
afterAll(async () => {
  await context.browser()!.close();
  site.close();
});

describe.each(platforms)('The recipe bearer-tokens.md, with %s,', (_, platform) => {
  it('delivers each event once, and resumes, with the client of the package and in a native EventSource of another origin', async () => {
    const { FeedController } = await moduleOf<{ FeedController: Type<object> }>(RECIPE);
    const { follow } = await moduleOf<{
      follow: (api: string, token: () => Promise<string>) => SseSource;
    }>(RECIPE, 1);
    for (const name of ['feed', 'ticket']) {
      const { prototype } = FeedController;
      UseGuards(BearerGuard)(prototype, name, Object.getOwnPropertyDescriptor(prototype, name)!);
    }
    const metadata = {
      imports: [SseModule.forRoot({ redis: redisUrl(), prefix: randomPrefix(), retryMs: 100 })],
      controllers: [FeedController],
    };
    const { app, url } = await startApp(platform, metadata, (created) =>
      created.enableCors({ origin: [site.origin] }),
    );
    const sse = app.get(SseService);
    const relay = await Relay.start(url);
    const publish = (n: number) => sse.publish({ n }, { channel: 'user:ann' });

    let tokens = 0;
    const seen: unknown[] = [];
    const source = follow(relay.url, async () => `${++tokens} of ann`);
    sources.push(source);
    source.on('message', (data) => seen.push(data));
    const page = await site.run(
      context,
      `const [api, user] = ['${relay.url}', 'ann'];
      let count = 0;
      const token = async () => ++count + ' of ann';
      const handle = ({ type, data }) => console.log(type === 'message' ? data : type);
      ${snippetsOf(RECIPE, 'js')[0]}`,
    );
    await until(() => sse.connections().length === 2 && page.lines.includes('sse.open'));
    expect(sse.connections().map(({ route, user }) => [route, user])).toEqual(
      expect.arrayContaining([
        ['/feed', 'ann'],
        ['/feed/:id', 'ann'],
      ]),
    );
    await publish(1);
    await until(() => seen.length === 1 && page.lines.length === 2);
    relay.cut();
    await publish(2);
    await until(() => seen.length === 2 && page.lines.length === 3);
    await until(() => sse.connections().length === 2);
    await publish(3);
    await until(() => seen.length === 3 && page.lines.length === 4);
    expect(seen).toEqual([{ n: 1 }, { n: 2 }, { n: 3 }]);
    expect(page.lines).toEqual(['sse.open', '{"n":1}', '{"n":2}', '{"n":3}']);
    expect(page.errors).toEqual([]);
    // It has reconnected with the used ticket, was refused, and has got another one.
    const used = relay.heads.flatMap((head) => /^get \/feed\/ann\?ticket=([\w-]+)/i.exec(head)?.[1] ?? []);
    expect([used.length, new Set(used).size, used[0] === used[1]]).toEqual([3, 2, true]);
    expect(tokens).toBeGreaterThanOrEqual(2);
    expect(relay.responses).toMatch(/^HTTP\/1\.1 401 /m);
  });
});
