import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { Controller, Get, Header, type Type } from '@nestjs/common';
import type { PublishOptions, SseService } from 'nestjs-sse-channels';
import type { BrowserContext } from 'playwright-core';
import { platforms } from '../support/app.js';
import { closePages, launchChromium } from '../support/chromium.js';
import { Site } from '../support/page.js';
import { Gate, observe, openPage, startNode } from '../support/recipe-node.js';
import { moduleOf, snippetsOf } from '../support/recipes.js';
import { randomPrefix } from '../support/redis.js';
import { until } from '../support/until.js';

type Publish = (sse: SseService, part: string) => Promise<string>;
interface Recipe {
  BoardController: Type;
  publish: Publish;
  publishToDatastar: Publish;
}

/** The clients of the page, in its order. */
const [turbo, htmx2, htmx4, datastar] = snippetsOf('html-fragments.md', 'html')[0]!
  .split(/^<!-- .* -->\n/m)
  .slice(1);
const part = (text: string) => `<ul id="board">\n  <li>${text}</li>\n</ul>`;
const stream = (html: string) =>
  `<turbo-stream action="replace" target="board"><template>${html}</template></turbo-stream>`;
const scripts = (...paths: string[]) =>
  paths.map((path) => `<script src="${site.origin}/node_modules/${path}"></script>`).join('');

let context: BrowserContext;
let site: Site;
beforeAll(async () => {
  [context, site] = await Promise.all([launchChromium(), Site.start()]);
});
afterEach(() => closePages(context));
afterAll(async () => {
  await context.browser()!.close();
  site.close();
});

/** A page of the client, and its node. */
async function open(n: number, html: string, answer: (html: string) => string = String) {
  const { BoardController, ...recipe } = await moduleOf<Recipe>('html-fragments.md');
  const gate = new Gate();
  @Controller('board')
  class Part {
    @Get()
    @Header('content-type', 'text/html')
    part() {
      return gate.pass(answer(part('first')));
    }
  }
  const controllers = [BoardController, Part];
  const node = await startNode(platforms[n % 2]![1], {
    prefix: randomPrefix(),
    html: `<script>${observe('#board')}</script>${html}`,
    controllers,
  });
  gate.close();
  const page = await openPage(context, node);
  await until(() => node.relay.responses.includes('event: sse.open'));
  const shows = (expected: string) => until(page.seen, (seen) => seen.at(-1) === expected);
  return { ...node, ...page, recipe, gate, shows };
}

describe('The recipe html-fragments.md', () => {
  it.each([
    ['Turbo 8', () => `${site.importMap}<ul id="board"></ul>${turbo}`, stream],
    [
      'htmx 2',
      () => scripts('htmx-ext-sse/node_modules/htmx.org/dist/htmx.js', 'htmx-ext-sse/sse.js') + htmx2,
      String,
    ],
    ['htmx 4', () => scripts('htmx.org/dist/htmx.js', 'htmx.org/dist/ext/hx-sse.js') + htmx4, String],
  ])(
    'shows the last part with %s, also after a late answer and a broken connection',
    async (name, html, wrap) => {
      const { relay, sse, recipe, gate, shows, seen, ended, errors } = await open(name.length, html(), wrap);
      await until(() => gate.passed === 1);
      await recipe.publish(sse, wrap(part('second')));
      await shows('second');
      gate.open();
      await until(() => ended.includes('/board'));
      relay.cut();
      await recipe.publish(sse, wrap(part('third')));
      await shows('third');
      expect(relay.heads.at(-1)).toMatch(/^last-event-id: \d/im);
      expect(await seen()).toEqual(['second', 'third']);
      expect(gate.passed).toBe(1);
      expect(errors).toEqual([]);
    },
  );

  it('shows the last part with Datastar, also after a broken connection', async () => {
    // The version on npm has other names than the page's.
    const old = datastar!.replace('data-init', 'data-on-load').replace(/, \{.*\}/, '');
    const script = `<script type="module" src="${site.origin}/node_modules/@starfederation/datastar/dist/bundles/datastar.js"></script>`;
    const { relay, sse, recipe, shows } = await open(0, `${script}<ul id="board"></ul>${old}`);
    const publish = (text: string) => {
      const renamed = Object.create(sse) as SseService;
      renamed.publish = (data: unknown, options?: PublishOptions) =>
        sse.publish((data as string).replaceAll('elements ', 'fragments '), {
          ...options,
          type: options!.type!.replace('patch-elements', 'merge-fragments'),
        });
      return recipe.publishToDatastar(renamed, part(text));
    };
    await publish('second');
    await shows('second');
    relay.cut();
    await publish('third');
    await shows('third');
    expect(relay.heads.at(-1)).toMatch(/^last-event-id: \d/im);
  });

  it('has the event of Datastar 1', async () => {
    const { publishToDatastar } = await moduleOf<Recipe>('html-fragments.md');
    let published: unknown[] = [];
    const sse = { publish: async (...args: unknown[]) => ((published = args), '') };
    await publishToDatastar(sse as unknown as SseService, part('one'));
    const data = 'elements <ul id="board">\nelements   <li>one</li>\nelements </ul>';
    expect(published).toEqual([data, { channel: 'board', type: 'datastar-patch-elements' }]);
  });
});
