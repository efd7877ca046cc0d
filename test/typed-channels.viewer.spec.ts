import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import apiReference from '@scalar/fastify-api-reference';
import type { BrowserContext, Page } from 'playwright-core';
import { platforms } from './support/app.js';
import { closePages, launchChromium } from './support/chromium.js';
import { documentOf, orders, startDescribed } from './support/described-app.js';
import { until } from './support/until.js';

const FASTIFY = platforms[1][1];

describe('A viewer of documents', () => {
  let context: BrowserContext;
  beforeAll(async () => {
    context = await launchChromium();
    // It works without its fonts and services.
    await context.route(
      ({ hostname }) => hostname !== '127.0.0.1',
      (route) => route.abort(),
    );
  });
  afterEach(() => closePages(context));
  afterAll(() => context.browser()!.close());

  const open = async (field = 'itemSchema'): Promise<Page> => {
    const { url } = await startDescribed(FASTIFY, (app) => {
      const text = JSON.stringify(documentOf(app, '3.2.0')).replaceAll('"itemSchema"', `"${field}"`);
      const content = JSON.parse(text) as object;
      const configuration = { content, withDefaultFonts: false, expandAllResponses: true };
      const plugin = apiReference as Parameters<NestFastifyApplication['register']>[0];
      void (app as NestFastifyApplication).register(plugin, { routePrefix: '/reference', configuration });
    });
    const page = await context.newPage();
    await page.goto(`${url}/reference`);
    return page;
  };
  /** What it shows of the first route. */
  const shown = (page: Page) =>
    until(
      () => page.evaluate(() => document.body.innerText),
      (text) => /EVENTS\nSTATUS:\n400/.test(text),
    );

  it('shows the types of events, and an event with its data, in OpenAPI 3.2', async () => {
    const page = await open();
    const text = await shown(page);
    expect(text).toContain('Stream item');
    expect(text).toContain('event: status\nid: string\nretry: 0\ndata: {"status":"open","note":"string"}');
    await page.getByRole('button', { name: 'status' }).first().click();
    const options = page.getByRole('option');
    expect(
      await until(
        () => options.allInnerTexts(),
        (names) => names.length > 0,
      ),
    ).toEqual([
      ...Object.keys(orders.events).map((type) => type || 'message'),
      'sse.open',
      'sse.position',
      'sse.reset',
    ]);
  });

  it('shows none of them under another name of the field', async () => {
    const text = await shown(await open('x-item-schema'));
    expect(text).not.toContain('Stream item');
    expect(text).not.toContain('event: status');
  });
});
