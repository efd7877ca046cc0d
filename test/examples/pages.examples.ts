import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { Controller, Get, Param, type Type } from '@nestjs/common';
import type { BrowserContext } from 'playwright-core';
import { platforms } from '../support/app.js';
import { closePages, launchChromium } from '../support/chromium.js';
import { connect } from '../support/client.js';
import { Site } from '../support/page.js';
import {
  connected,
  Gate,
  type NodeOptions,
  observe,
  openPage,
  shows,
  startNode,
} from '../support/recipe-node.js';
import { moduleOf, snippetsOf } from '../support/recipes.js';
import { randomPrefix } from '../support/redis.js';
import { until } from '../support/until.js';

const [[, express], [, fastify]] = platforms;
/** A page that runs the client's code of a recipe, with what it expects around it. */
const pageOf = (recipe: string, body: string, globals: string, use = '') =>
  `${body}<script>${globals}</script><script type="module">${snippetsOf(recipe, 'js')[0]}${use}</script>`;

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

/** A node on each platform, as one application, with the page of each. */
async function startBoth(
  options: Omit<NodeOptions, 'prefix'>,
  users: NodeOptions['user'][] = [{ id: 'ann' }, { id: 'bob' }],
) {
  const prefix = randomPrefix();
  const nodes = await Promise.all(
    [express, fastify].map((platform, n) => startNode(platform, { ...options, prefix, user: users[n] })),
  );
  return { nodes, prefix, open: () => Promise.all(nodes.map((node) => openPage(context, node))) };
}

describe('The recipe', () => {
  it('notifications.md shows each notification once on every device, and removes what was read on one', async () => {
    interface Service {
      notify(user: string, notification: { id: number; text: string }): Promise<void>;
      markRead(user: string, id: number): Promise<void>;
    }
    const { Notifications, NotificationsController } = await moduleOf<{
      Notifications: Type<Service>;
      NotificationsController: Type;
    }>('notifications.md');
    const unread = new Map<number, { id: number; text: string }>();
    const gate = new Gate();
    @Controller('notifications')
    class Inbox {
      @Get()
      unread() {
        return gate.pass([...unread.values()]);
      }
    }
    const html = pageOf(
      'notifications.md',
      '<ul></ul>',
      `const list = new Map(), ul = document.querySelector('ul');
      const draw = () => (ul.textContent = [...list.values()].join());
      const add = ({ id, text }) => (list.set(id, text), draw());
      const remove = (id) => (list.delete(id), draw());
      const load = async () => {
        const all = await (await fetch('/notifications')).json();
        list.clear();
        draw();
        all.forEach(add);
      };`,
    );
    const options = { html, controllers: [NotificationsController, Inbox], providers: [Notifications] };
    const { nodes, prefix, open } = await startBoth(options, [{ id: 'ann' }, { id: 'ann' }]);
    const bob = await startNode(express, { ...options, prefix, user: { id: 'bob' } });
    const bobs = await connect(`${bob.url}/notifications/events`);
    const service = bob.app.get(Notifications);
    const notify = async (user: string, id: number, text: string) => {
      unread.set(id, { id, text });
      await service.notify(user, { id, text });
    };

    unread.set(1, { id: 1, text: 'one' });
    gate.close();
    const pages = await open();
    await until(() => gate.passed === 2);
    // What happens while the answer, which does not know of it, is on its way.
    await notify('ann', 2, 'two');
    gate.open();
    await shows(pages, 'ul', 'one,two');
    unread.delete(1);
    await service.markRead('ann', 1);
    await shows(pages, 'ul', 'two');
    nodes[0]!.relay.cut();
    await notify('ann', 3, 'three');
    await notify('bob', 4, 'four');
    await shows(pages, 'ul', 'two,three');
    await service.notify('ann', { id: 2, text: 'two' });
    await service.markRead('ann', 3);
    await shows(pages, 'ul', 'two');
    expect((await bobs.take(2)).map(({ event }) => event)).toEqual(['sse.open', 'notification']);
    expect(gate.passed).toBe(2);
    expect(pages.flatMap(({ errors }) => errors)).toEqual([]);
  });

  it('dashboard.md shows the last value, whatever happens while a page loads it', async () => {
    const { Sales, SalesController } = await moduleOf<{
      Sales: Type;
      SalesController: Type<{ changed(): Promise<void>; state(): unknown }>;
    }>('dashboard.md');
    let state = { version: 1, total: 10 };
    let isDown = true;
    const gate = new Gate();
    const read = () => {
      if (isDown) throw new Error('The database is down');
      return gate.pass(state);
    };
    const html = pageOf(
      'dashboard.md',
      '<p id="total"></p>',
      `${observe('#total')} Math.random = () => -0.4;`,
    );
    const providers = [{ provide: Sales, useValue: { read } }];
    const { nodes, open } = await startBoth({ html, controllers: [SalesController], providers });
    const controllers = nodes.map(({ app }) => app.get(SalesController));
    const publish = (value: typeof state) =>
      nodes[0]!.sse.publish(value, { channel: 'sales', type: 'state' });

    const pages = await open();
    await until(() => nodes.every(({ relay }) => relay.responses.includes(' 500 ')));
    gate.close();
    isDown = false;
    await until(() => gate.passed === 2);
    // After the position, and not in the state that the pages load.
    await publish({ version: 3, total: 30 });
    gate.open();
    await shows(pages, '#total', '30');
    await publish({ version: 2, total: 20 });
    await publish({ version: 4, total: 40 });
    await shows(pages, '#total', '40');
    nodes[1]!.relay.cut();
    state = { version: 5, total: 50 };
    await controllers[1]!.changed();
    await shows(pages, '#total', '50');
    for (const { seen } of pages) expect(await seen()).toEqual(['10', '30', '40', '50']);
    expect(pages.flatMap(({ errors }) => errors)).toEqual([]);
  });

  it('chat.md shows each message once, and who is typing, to the members of the room alone', async () => {
    type Recipe = { Rooms: Type; Members: Type; ChatController: Type };
    const { Rooms, Members, ChatController } = await moduleOf<Recipe>('chat.md');
    const html = pageOf(
      'chat.md',
      '<pre id="said"></pre><p id="who"></p>',
      `const room = 7, messages = document.querySelector('#said');
      const load = () => messages.append('load');
      const showTyping = (from) => (document.querySelector('#who').textContent += from);`,
    );
    const members = new Set<string>();
    const isMember = async (room: string, user: string) => room === '7' && members.has(user);
    const providers = [{ provide: Rooms, useValue: { isMember } }, Members];
    const { nodes, open } = await startBoth({ html, controllers: [ChatController], providers });
    const say = async (n: number, body: object) => {
      const headers = { 'content-type': 'application/json' };
      return (
        await fetch(`${nodes[n]!.url}/rooms/7`, { method: 'POST', headers, body: JSON.stringify(body) })
      ).status;
    };
    expect([(await connect(`${nodes[0]!.url}/rooms/7/events`)).status, await say(0, {})]).toEqual([403, 403]);
    for (const user of ['ann', 'bob']) members.add(user);

    const pages = await open();
    await connected(nodes);
    await say(1, {});
    await shows(pages, '#who', 'bob');
    for (const _ of [1, 2]) expect(await say(0, { id: 'a', text: '<b>hi</b>' })).toBe(201);
    await shows(pages, '#said', 'ann: <b>hi</b>\n');
    nodes[0]!.relay.cut();
    await say(1, { id: 'a', text: 'hello' });
    await shows(pages, '#said', 'ann: <b>hi</b>\nbob: hello\n');
    await shows(pages, '#who', 'bob');
    members.delete('bob');
    await nodes[0]!.sse.disconnect({ user: 'bob', channel: 'room:7' }, { refuseMs: 0 });
    await until(() => nodes[1]!.relay.responses.includes(' 403 '));
    expect(await say(0, { id: 'b', text: 'bye' })).toBe(201);
    await shows([pages[0]!], '#said', 'ann: <b>hi</b>\nbob: hello\nann: bye\n');
    await shows([pages[1]!], '#said', 'ann: <b>hi</b>\nbob: hello\n');
  });

  it('query-cache.md ends with what was read after the last change, also when the first fetch is late', async () => {
    type Service = { changed(tenant: string, queryKey: string[]): Promise<void> };
    type Recipe = { Changes: Type<Service>; ChangesController: Type };
    const { Changes, ChangesController } = await moduleOf<Recipe>('query-cache.md');
    let value = 1;
    const gate = new Gate();
    @Controller('orders')
    class Orders {
      @Get(':id')
      order(@Param('id') id: string) {
        return gate.pass(id === '7' ? value : 0);
      }
    }
    const use = `
      import { QueryClient, QueryObserver } from '@tanstack/query-core';
      const queryClient = new QueryClient({ defaultOptions: { queries: { staleTime: Infinity } } });
      followChanges(queryClient);
      const queryFn = async ({ queryKey }) => (await fetch('/' + queryKey.join('/'))).json();
      const observer = new QueryObserver(queryClient, { queryKey: ['orders', 7], queryFn });
      observer.subscribe(({ data }) => (document.querySelector('p').textContent = data));`;
    const globals = "globalThis.process = { env: { NODE_ENV: 'production' } };";
    const html = `${site.importMap}${pageOf('query-cache.md', '<p></p>', globals, use)}`;
    const options = { html, controllers: [ChangesController, Orders], providers: [Changes] };
    const { nodes, open } = await startBoth(options, [
      { id: 'ann', tenant: 'acme' },
      { id: 'bob', tenant: 'acme' },
    ]);
    const service = nodes[0]!.app.get(Changes);
    const change = async (next: number) => {
      value = next;
      await service.changed('acme', ['orders']);
    };

    gate.close();
    const pages = await open();
    await Promise.all([until(() => gate.passed === 2), connected(nodes)]);
    await change(2);
    await until(() => nodes.every(({ relay }) => relay.responses.includes('["orders"]')));
    gate.open();
    await shows(pages, 'p', '2');
    nodes[1]!.relay.cut();
    await change(3);
    await shows(pages, 'p', '3');
    const { passed } = gate;
    await service.changed('other', ['orders']);
    await change(4);
    await shows(pages, 'p', '4');
    expect(gate.passed).toBe(passed + 2);
    expect(pages.flatMap(({ errors }) => errors)).toEqual([]);
  });
});
