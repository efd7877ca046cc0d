import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { Type } from '@nestjs/common';
import { build, stop } from 'esbuild';
import type { BrowserContext } from 'playwright-core';
import { platforms } from '../support/app.js';
import { closePages, launchChromium } from '../support/chromium.js';
import { Gate, openPage, shows, startNode } from '../support/recipe-node.js';
import { moduleOf, snippetsOf } from '../support/recipes.js';
import { randomPrefix } from '../support/redis.js';
import { until } from '../support/until.js';

const PAGE = `
import { QueryClient, QueryObserver } from '@tanstack/query-core';
Object.assign(globalThis, { client: new QueryClient() });
followOrders(client);
new QueryObserver(client, orders).subscribe(({ data }) => {
  const rows = data?.rows.toSorted((a, b) => a.id - b.id) ?? [];
  document.querySelector('#rows').textContent = rows.map(({ id, status }) => id + ' ' + status).join();
});`;

describe('The recipe tanstack-query.md', () => {
  let context: BrowserContext;
  let script: string;
  beforeAll(async () => {
    const { outputFiles } = await build({
      stdin: { contents: snippetsOf('tanstack-query.md', 'ts')[1]! + PAGE, loader: 'ts', resolveDir: '.' },
      alias: { 'nestjs-sse-channels/client': './src/client/index.ts' },
      bundle: true,
      format: 'iife',
      write: false,
    });
    script = outputFiles[0]!.text;
    await stop();
    context = await launchChromium();
  });
  afterEach(() => closePages(context));
  afterAll(() => context.browser()!.close());

  it.each(platforms)(
    'shows the last change of each row, whatever it overlaps with: %s',
    async (...[, platform]) => {
      type Recipe = { Orders: Type; OrdersController: Type };
      const { Orders, OrdersController } = await moduleOf<Recipe>('tanstack-query.md');
      const rows = new Map([[1, { id: 1, version: 1, status: 'new' }]]);
      const gate = new Gate();
      const orders = { read: () => gate.pass([...rows.values()]) };
      const node = await startNode(platform, {
        prefix: randomPrefix(),
        html: '<p id="rows"></p>',
        controllers: [OrdersController],
        providers: [{ provide: Orders, useValue: orders }],
        sse: { history: { maxReplayEvents: 3 } },
      });
      const publish = (id: number, version: number, status: string) => {
        const row = { id, version, status };
        if ((rows.get(id)?.version ?? 0) < version) rows.set(id, row);
        return node.sse.publish(row, { channel: 'orders', type: 'row' });
      };

      const { page, errors, text } = await openPage(context, node);
      const show = (expected: string) => shows([{ text }], '#rows', expected);
      gate.close();
      await page.addScriptTag({ content: script });
      await until(() => gate.passed === 1);
      // After the position, and not in the rows that the page loads.
      await publish(1, 2, 'paid');
      gate.open();
      await show('1 paid');
      await publish(2, 2, 'sent');
      await publish(2, 1, 'old');
      await publish(3, 1, 'new');
      await show('1 paid,2 sent,3 new');
      expect(gate.passed).toBe(1);

      // A refetch reads rows that are older than the events that arrive meanwhile.
      gate.close();
      await page.evaluate(`void client.invalidateQueries()`);
      await until(() => gate.passed === 2);
      await publish(3, 2, 'paid');
      await show('1 paid,2 sent,3 paid');
      gate.open();
      await until(async () => (await page.evaluate('client.isFetching()')) === 0);
      await show('1 paid,2 sent,3 paid');

      // A cancelled fetch reverts what arrived meanwhile.
      gate.close();
      await page.evaluate(`void client.invalidateQueries()`);
      await until(() => gate.passed === 3);
      await publish(3, 3, 'sent');
      await show('1 paid,2 sent,3 sent');
      await page.evaluate('client.cancelQueries()');
      gate.open();
      await show('1 paid,2 sent,3 sent');
      node.relay.cut();
      await publish(1, 3, 'sent');
      await show('1 sent,2 sent,3 sent');
      expect(gate.passed).toBe(3);

      // More than is kept. The client must not be back before the last one.
      node.relay.moveTo('http://127.0.0.1:1');
      node.relay.cut();
      for (let version = 4; version < 12; version++) await publish(1, version, `${version}`);
      node.relay.moveTo(node.url);
      await until(() => gate.passed === 4);
      await show('1 11,2 sent,3 sent');
      await publish(2, 3, 'done');
      await show('1 11,2 done,3 sent');
      await page.evaluate('client.clear()');
      await until(() => node.sse.stats().connections === 0);
      expect(errors).toEqual([]);
    },
  );
});
