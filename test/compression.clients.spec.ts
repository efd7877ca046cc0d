import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { connect, type SseSource } from 'nestjs-sse-channels/client';
import type { BrowserContext } from 'playwright-core';
import { platforms } from './support/app.js';
import { launchChromium } from './support/chromium.js';
import { Cli } from './support/cli.js';
import { orderOf, startCompressed } from './support/compressed-app.js';
import { until } from './support/until.js';

/** Sizes on both sides of `minBytes`. */
const SIZES = [10, 1_000, 20, 70_000, 300];
const numberOf = (data: string) => (JSON.parse(data) as { number: number }).number;

const FETCHING = `
const response = await fetch(process.argv[1]);
console.log(response.headers.get('content-encoding'));
for await (const text of response.body.pipeThrough(new TextDecoderStream())) process.stdout.write(text);
`;
/** Fails for a wrong or missing trailer. */
const STRICT = `
import gzip, sys, urllib.request
request = urllib.request.Request(sys.argv[1], headers={'Accept-Encoding': 'gzip'}, method='POST')
print(gzip.decompress(urllib.request.urlopen(request).read()).decode(), end='')
`;

describe.each(platforms)('A client of compressed events on %s', (_name, platform) => {
  let context: BrowserContext;
  beforeAll(async () => {
    context = await launchChromium();
  });
  afterAll(() => context.browser()!.close());

  /** Publishes events one by one, each when the client has read the one before. */
  async function readsEach(start: (url: string) => Promise<() => Promise<string>> | (() => Promise<string>)) {
    const { url, sse } = await startCompressed(platform);
    const text = await start(`${url}/channel`);
    await until(() => sse.stats().connections === 1);
    for (const [n, bytes] of SIZES.entries()) {
      await sse.publish(orderOf(n, bytes));
      await until(async () => (await text()).includes(`{"number":${n},`));
    }
    return sse;
  }
  const run = (program: string[]) => {
    const cli = new Cli('', {}, program);
    return { cli, text: () => Promise.resolve(cli.stdout) };
  };

  it('is curl, which prints each event at once, and accepts the end', async () => {
    let curl!: Cli;
    const sse = await readsEach((url) => {
      const { cli, text } = run(['curl', '--compressed', '-sSN', '-D', '-', url]);
      curl = cli;
      return text;
    });
    expect(curl.stdout).toMatch(/^content-encoding: gzip\r$/im);
    await sse.disconnect({ channel: 'sse' }, { refuseMs: 0 });
    expect([await curl.end(), curl.stderr]).toEqual([0, '']);
  });

  it('is fetch() of Node, which reads each event at once, and accepts the end', async () => {
    let node!: Cli;
    const sse = await readsEach((url) => {
      const { cli, text } = run(['node', '--input-type=module', '-e', FETCHING, url]);
      node = cli;
      return text;
    });
    expect(node.lines[0]).toBe('gzip');
    await sse.disconnect({ channel: 'sse' }, { refuseMs: 0 });
    expect([await node.end(), node.stderr]).toEqual([0, '']);
  });

  it('is the client of this package', async () => {
    const got: number[] = [];
    const encodings: (string | null)[] = [];
    let source!: SseSource;
    await readsEach((url) => {
      source = connect(url, {
        fetch: async (...args) => {
          const response = await fetch(...args);
          encodings.push(response.headers.get('content-encoding'));
          return response;
        },
      });
      source.on<{ number: number }>('message', ({ number }) => got.push(number));
      return () => Promise.resolve(got.map((number) => `{"number":${number},`).join());
    });
    source.close();
    expect(got).toEqual([0, 1, 2, 3, 4]);
    expect(encodings).toEqual(['gzip']);
  });

  it('is EventSource in Chromium, also after it has reconnected', async () => {
    const page = await context.newPage();
    const responses: (string | undefined)[] = [];
    page.on('response', (response) => {
      if (response.url().includes('/channel')) responses.push(response.headers()['content-encoding']);
    });
    const got = () => page.evaluate<string[]>('got');
    const sse = await readsEach(async (url) => {
      await page.goto(url.replace('channel', 'page'));
      await page.evaluate(`
        globalThis.got = [];
        globalThis.source = new EventSource('/channel');
        source.onmessage = ({ data }) => got.push(data);
      `);
      return async () => (await got()).join();
    });
    await sse.disconnect({ channel: 'sse' }, { refuseMs: 0 });
    await until(() => sse.stats().connections === 0);
    for (const [n, bytes] of SIZES.entries()) await sse.publish(orderOf(5 + n, bytes));
    await until(async () => (await got()).length === 10);
    expect((await got()).map(numberOf)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(responses).toEqual(['gzip', 'gzip']);
    await page.close();
  });

  it.each([
    ['Python', (url: string) => ['python3', '-c', STRICT, url]],
    [
      'gunzip',
      (url: string) => [
        'sh',
        '-c',
        'curl -sS -X POST --header "Accept-Encoding: gzip" "$0" | gunzip -c',
        url,
      ],
    ],
    ['curl', (url: string) => ['curl', '-sS', '-X', 'POST', '--compressed', url]],
  ])('is %s, which reads a whole stream strictly', async (name, program) => {
    const { url } = await startCompressed(platform);
    const { cli } = run(program(`${url}/count?id=${name}`));
    expect([await cli.end(), cli.stderr]).toEqual([0, '']);
    const numbers = cli.lines
      .filter((line) => line.startsWith('data: {"n'))
      .map((line) => numberOf(line.slice(6)));
    expect(numbers).toEqual(Array.from({ length: 50 }, (_, n) => n));
    expect(cli.stdout).toContain('event: sse.end');
  });
});
