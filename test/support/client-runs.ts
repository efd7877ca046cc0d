import { afterAll, afterEach, beforeAll } from '@jest/globals';
import { Controller, Sse } from '@nestjs/common';
import {
  heartbeat,
  LastEventId,
  SseChannel,
  SseModule,
  type SseModuleOptions,
  SseService,
} from 'nestjs-sse-channels';
import type { BrowserContext } from 'playwright-core';
import { type Platform, startApp } from './app.js';
import { closePages, launchChromium } from './chromium.js';
import { Cli } from './cli.js';
import {
  type ClientLine,
  type ClientName,
  clientNames,
  clientScript,
  nodeClientNames,
} from './event-clients.js';
import { Site } from './page.js';
import { Relay } from './relay.js';
import { until } from './until.js';

@Controller()
class NewsController {
  constructor(private readonly sse: SseService) {}

  @SseChannel('channel')
  channel() {
    return 'news';
  }

  @Sse('sse')
  messages(@LastEventId() lastEventId?: string) {
    return this.sse.messages('news', { lastEventId }).pipe(heartbeat(1_000));
  }
}

let context: BrowserContext;
let site: Site;
/** The origin of the pages that `runInPage()` opens. */
export const siteOrigin = (): string => site.origin;

beforeAll(async () => {
  [context, site] = await Promise.all([launchChromium(), Site.start()]);
});
afterEach(() => closePages(context));
afterAll(async () => {
  await context.browser()!.close();
  site.close();
});

export const runInPage = (...args: [script: string, cookie?: { url: string; value: string }]) =>
  site.run(context, ...args);
export const runInNode = async (script: string) =>
  new Cli('', {}, ['node', '--input-type=module', '--eval', script]);

/** Every client in Chromium, and those that run there in Node.js. */
export const runs = [
  ...clientNames.map((name) => [name, 'Chromium', runInPage] as const),
  ...nodeClientNames.map((name) => [name, 'Node.js', runInNode] as const),
];
export type Run = (typeof runs)[number][2];

/** A running client, and the events that it reported. */
export async function open(name: ClientName, run: Run, urls: string[]) {
  const program = await run(clientScript(name, urls));
  const lines = () => program.lines.map((line) => JSON.parse(line) as ClientLine);
  const events = () => lines().filter(({ type }) => type !== undefined);
  return {
    lines,
    events,
    waits: () => lines().flatMap(({ wait }) => wait ?? []),
    /** Waits until the client passes an event with this data to the application. */
    received: (data: string) => until(events, (all) => all.some((event) => event.data === data)),
  };
}

/** Opens each of these clients through its own relay. */
export async function openAll(all: readonly (typeof runs)[number][], url: string) {
  const relays = await Promise.all(all.map(() => Relay.start(url)));
  const clients = await Promise.all(
    all.map(([name, , run], n) => open(name, run, [`${relays[n]!.url}/channel`])),
  );
  const received = (data: string) => Promise.all(clients.map((client) => client.received(data)));
  return { relays, clients, received };
}

/** The default reconnection time of each client. The browser's EventSource has no visible timer. */
export const DEFAULT_WAIT_MS: Partial<Record<ClientName, number>> = {
  'fetch-event-source': 1_000,
  'eventsource-client': 2_000,
  eventsource: 3_000,
  'extended-eventsource': 5_000,
};

export const OPEN = { type: 'sse.open', data: '{"channel":"news"}' };
export const typeAndData = ({ type, data }: ClientLine) => ({ type, data });

export async function start(platform: Platform, options: SseModuleOptions) {
  const metadata = { imports: [SseModule.forRoot(options)], controllers: [NewsController] };
  // The page with the scripts has another origin.
  const { app, url } = await startApp(platform, metadata, (created) => created.enableCors());
  const sse = app.get(SseService);
  const publish = (data: string) => sse.publish(data, { channel: 'news', type: 'news' });
  return { app, url, sse, publish, relay: await Relay.start(url) };
}
