import { readdirSync, readFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { BrowserContext } from 'playwright-core';
import { closePages, launchChromium } from '../support/chromium.js';
import { Sample } from '../support/sample.js';
import { SamplePage } from '../support/sample-page.js';
import { until } from '../support/until.js';

/** Connections that a browser opens to one server over HTTP/1.1. */
const CONNECTIONS = 6;

describe('The page of the sample', () => {
  let context: BrowserContext;
  let sample: Sample;
  beforeAll(async () => {
    [context, sample] = await Promise.all([launchChromium(), Sample.startShared()]);
  });
  afterEach(() => closePages(context));
  afterAll(() => context.browser()!.close());

  const open = async () => {
    const opened = await SamplePage.open(context, sample.url);
    await opened.a.state('open');
    return opened;
  };

  it('loads in six tabs, as each holds one connection, and a hidden tab none', async () => {
    const tabs = [];
    for (let n = 0; n < CONNECTIONS; n++) tabs.push(await open());
    await sample.publish({ data: 'for all tabs' });
    for (const { a } of tabs) await a.event('for all tabs').waitFor();
    const { connections } = await (await fetch(`${sample.url}/node`)).json();
    expect(connections).toBe(CONNECTIONS);

    const [hidden, ...others] = tabs as [SamplePage, ...SamplePage[]];
    await hidden.setHidden(true);
    await hidden.a.state('paused');
    const seventh = await open();
    await sample.publish({ data: 'while hidden' });
    for (const { a } of [seventh, ...others]) await a.event('while hidden').waitFor();
    await others[0]!.page.close();
    await seventh.page.close();
    await hidden.setHidden(false);
    await hidden.a.event('while hidden', '.replayed').waitFor();
    for (const { problems } of tabs) expect(problems).toEqual([]);
  });

  it('shows events of every type', async () => {
    const { a } = await open();
    const types = ['status', 'close', 'metrics', 'toString', 'a type: with “signs”'];
    for (const type of types) expect((await sample.publish({ data: `of ${type}`, type })).status).toBe(201);
    for (const type of types) {
      const event = a.event(`of ${type}`, '.typed');
      await event.waitFor();
      expect(await event.locator('.type').textContent()).toBe(type);
    }
    await sample.publish({ data: { node: 'no metrics' }, type: 'metrics' });
    await a.event('no metrics', '.typed').waitFor();
  });

  it('reads with the client of the package, or with the EventSource of the browser at ?native', async () => {
    const built = readFileSync('dist/client/index.js', 'utf8');
    expect(await (await fetch(`${sample.url}/client/index.js`)).text()).toBe(built);
    const native = await SamplePage.open(context, sample.url, '/?native');
    await native.a.state('open');
    const { a } = await open();
    const loaded = () =>
      a.root.page().evaluate(`performance.getEntriesByType('resource').map(({ name }) => name)`);
    expect(await loaded()).toContain(`${sample.url}/client/index.js`);
    await sample.publish({ data: 'hidden', type: 'status' });
    await sample.publish({ data: 'shown', type: 'cool' });
    for (const client of [a, native.a]) await client.event('shown').waitFor();
    expect(await a.texts()).toContain('hidden');
    expect(await native.a.texts()).not.toContain('hidden');
    await native.a.click('.connect');
    await sample.publish({ data: 'missed' });
    await native.a.click('.connect');
    await native.a.event('missed').waitFor();
    expect(native.problems).toEqual([]);
  });

  it.each(['channel', 'sse'])('marks what it missed while it was disconnected, at /%s', async (route) => {
    const page = await open();
    const { a } = page;
    await a.subscribe(route, route);
    const warm = () => sample.publish({ data: 'warm', channel: route });
    await until(async () => (await warm(), a.event('warm').isVisible()));
    await a.click('.connect');
    await a.state('closed');
    expect(await a.text('.connect')).toBe('Connect');
    for (const n of [1, 2, 3]) await page.publish({ data: `missed ${n}`, channel: route, type: `type-${n}` });
    await until(async () => (await page.page.textContent('#answer'))?.startsWith('Published as'));
    await sample.publish({ data: 'missed 4', channel: route, id: `own-${route}` });
    expect(await a.event('missed').count()).toBe(0);
    await a.click('.connect');
    await a.event('missed 4', '.replayed').waitFor();
    await sample.publish({ data: 'then', channel: route });
    await a.event('then').waitFor();
    expect((await a.texts()).slice(0, 5)).toEqual(['then', 'missed 4', 'missed 3', 'missed 2', 'missed 1']);
    expect(await a.root.locator('.replayed .data').allTextContents()).toEqual([
      'missed 4',
      'missed 3',
      'missed 2',
      'missed 1',
    ]);
    expect(await a.root.locator('.gap').count()).toBe(0);
  });

  it('shows a gap when the history does not reach back to its position', async () => {
    const { a } = await open();
    await a.click('.expire');
    const gap = a.event('Gap: events may be missing (lost)', '.gap');
    await gap.waitFor();
    expect(await gap.locator('.data').textContent()).toBe('{"channel":"sse","reason":"lost"}');
    await sample.publish({ data: 'after the gap' });
    await a.event('after the gap', ':not(.replayed)').waitFor();
    expect(await a.root.locator('.gap').count()).toBe(1);
  });

  it('has two clients of the one node', async () => {
    const page = await open();
    await page.broker('memory');
    expect(await page.b.text('.state')).toBe('Not connected');
    await page.b.click('.connect');
    await page.b.state('open');
    await page.publish({ data: 'for both' });
    for (const client of [page.a, page.b]) await client.event('for both').waitFor();
    expect(await page.page.locator('#publish button:visible').allTextContents()).toEqual(['Publish']);
  });

  it('shows the code that runs behind each panel', async () => {
    const { page, problems } = await open();
    // The chat has a page of its own.
    const panels = page.locator('main > section:not(.chat-link), footer');
    expect(await panels.count()).toBe(7);
    for (const panel of await panels.all()) {
      await panel.locator('.code summary').click();
      for (const pre of await panel.locator('.code pre').all()) {
        await until(async () => (await pre.textContent())?.includes('\n'));
        const [name, ...code] = (await pre.textContent())!.split('\n');
        expect(code.length).toBeGreaterThanOrEqual(4);
        expect(code.length).toBeLessThanOrEqual(20);
        const lines = readFileSync(name!, 'utf8')
          .split('\n')
          .map((line) => line.trim());
        const first = lines.indexOf(code[0]!);
        expect(lines.slice(first, first + code.length)).toEqual(code.map((line) => line.trim()));
        expect(code.at(-1)).toBe('}');
      }
    }
    await page.locator('#client-a [name=route]').selectOption('sse');
    await page.locator('#client-a .code summary').click();
    await page.locator('#client-a .code pre', { hasText: "@Sse('sse')" }).waitFor();
    expect(problems).toEqual([]);
  });

  it('fits into wide and narrow windows, light and dark, without errors and requests to others', async () => {
    const opened = await open();
    const { page, a, b } = opened;
    await b.click('.connect');
    await b.state('open');
    for (const summary of await page.locator('summary').all()) await summary.click();
    await opened.publish({ data: 'long-'.repeat(200), type: 'a-very-long-type-'.repeat(7) });
    for (const client of [a, b]) await client.event('long-').waitFor();
    await opened.broker('memory');
    for (const width of [1440, 768, 390]) {
      await page.setViewportSize({ width, height: 900 });
      const excess = 'document.documentElement.scrollWidth - document.documentElement.clientWidth';
      expect(await page.evaluate(excess)).toBe(0);
    }
    const background = () => page.evaluate('getComputedStyle(document.body).backgroundColor');
    const light = await background();
    await page.emulateMedia({ colorScheme: 'dark' });
    expect(await background()).not.toBe(light);
    expect([opened.problems, opened.failedRequests]).toEqual([[], []]);
    expect([...opened.origins]).toEqual([sample.url]);
  });

  it('consists of files of at most 250 lines', () => {
    const files = readdirSync('sample', { recursive: true, encoding: 'utf8' })
      .filter((file) => /^(src|public)\/.*\.\w+$/.test(file))
      .map((file) => [file, readFileSync(`sample/${file}`, 'utf8').split('\n').length - 1] as const);
    expect(files.length).toBeGreaterThan(20);
    expect(files.filter(([, lines]) => lines > 250)).toEqual([]);
  });
});
