import { readFileSync } from 'node:fs';
import {
  type CanActivate,
  Controller,
  type ExecutionContext,
  HttpException,
  type INestApplication,
  Injectable,
  Param,
  UseGuards,
} from '@nestjs/common';
import { SseChannel, SseModule, type SseModuleOptions, SseService } from 'nestjs-sse-channels';
import { describe, expect, it } from '@jest/globals';
import { type Platform, platforms, startApp } from './support/app.js';
import { Cli } from './support/cli.js';
import { runInNode, runInPage, siteOrigin } from './support/client-runs.js';
import { Relay } from './support/relay.js';
import { until } from './support/until.js';

/** Lets requests in that have the token, or the cookie. */
@Injectable()
class SignedIn implements CanActivate {
  /** The status of a refusal. */
  status = 401;
  /** Refuses everyone. */
  isClosed = false;

  canActivate(context: ExecutionContext): boolean {
    const { authorization, cookie } = context
      .switchToHttp()
      .getRequest<{ headers: Record<string, string | undefined> }>().headers;
    if (!this.isClosed && (authorization === 'Bearer secret' || cookie === 'session=secret')) return true;
    throw new HttpException('', this.status);
  }
}

@Controller('orders/:id')
class OrdersController {
  @SseChannel('events')
  @UseGuards(SignedIn)
  events(@Param('id') id: string) {
    return `order:${id}`;
  }
}

const document = readFileSync('docs/clients.md', 'utf8');

/** The snippets of a section, in order, for an application and a page of other origins than the document's. */
function snippetsOf(heading: string, apiUrl: string): string[] {
  const section = document.split(/^## /m).find((text) => text.startsWith(`${heading}\n`))!;
  return Array.from(section.matchAll(/^ *```\w+\n([^]*?)^ *```$/gm), ([, code]) =>
    code!.replaceAll('https://api.example.com', apiUrl).replaceAll('https://app.example.com', siteOrigin()),
  );
}

const [corsSnippet, originsSnippet] = ['app', 'SseModule'].map(
  (name, n) => (value: unknown) =>
    // oxlint-disable-next-line no-new-func, no-implied-eval -- the document's own code
    new Function(name, `return (${snippetsOf('Pages of another origin', '')[n]!.trim().replace(/;$/, '')});`)(
      value,
    ) as unknown,
);

async function startOrders(
  platform: Platform,
  {
    options = {},
    configure = () => undefined,
  }: { options?: SseModuleOptions; configure?: (app: INestApplication) => void } = {},
) {
  let given: SseModuleOptions = {};
  originsSnippet!({ forRoot: (documented: SseModuleOptions) => (given = documented) });
  const metadata = {
    imports: [SseModule.forRoot({ ...given, ...options })],
    controllers: [OrdersController],
    providers: [SignedIn],
  };
  const { app, url } = await startApp(platform, metadata, configure);
  const sse = app.get(SseService);
  const publish = (status: string) => sse.publish({ status }, { channel: 'order:7', type: 'status' });
  return { url, sse, publish, signedIn: app.get(SignedIn), relay: await Relay.start(url) };
}

const documentedCors = (app: INestApplication) => void corsSnippet!(app);
const cookieFor = ({ url }: Relay) => ({ url, value: 'secret' });

/** What a reader would have around a snippet in JavaScript. */
const AROUND = `globalThis.token = 'secret'; globalThis.load = () => console.log('load');\n`;

describe.each(platforms)('The document, before %s,', (_, platform) => {
  const inPage = (code: string, relay: Relay) => runInPage(AROUND + code, cookieFor(relay));
  const inNode = (code: string) => runInNode(AROUND + code);
  const inPython = (code: string) => new Cli('', { TOKEN: 'secret' }, ['python3', '-u', '-c', code]);

  it('has a snippet for each client that reads, resumes, is told of lost events, and ends', async () => {
    const snippets = [
      ['EventSource', 'Chromium', inPage, undefined],
      ['eventsource', 'Node.js', inNode, 'ended by 401'],
      ['extended-eventsource', 'Chromium', inPage, 'ended by 401'],
      ['extended-eventsource', 'Node.js', inNode, 'ended by 401'],
      ['fetch-event-source', 'Chromium', inPage, 'ended by 401'],
      ['eventsource-client', 'Chromium', inPage, 'ended'],
      ['eventsource-client', 'Node.js', inNode, 'ended'],
      ['Python', 'Python', inPython, undefined],
    ] as const;
    const options = { retryMs: 1_000, history: { maxReplayEvents: 2 } };
    const { url, sse, publish, signedIn } = await startOrders(platform, {
      options,
      configure: documentedCors,
    });
    const relays = await Promise.all(snippets.map(() => Relay.start(url)));
    const cut = () => relays.forEach((relay) => relay.cut());
    const programs = await Promise.all(
      snippets.map(async ([heading, , run], n) => run(snippetsOf(heading, relays[n]!.url)[0]!, relays[n]!)),
    );
    const printed = (line: string) =>
      Promise.all(
        programs.map((program, n) =>
          until(
            () => [snippets[n]![0], ...program.lines],
            (seen) => seen.includes(line),
          ),
        ),
      );
    await until(() => sse.stats().streams === snippets.length);
    await publish('paid');
    await printed('paid');
    cut();
    await publish('packed');
    await printed('packed');
    cut();
    await Promise.all(['more', 'than', 'it', 'may', 'miss'].map(publish));
    await printed('load');
    await publish('sent');
    await printed('sent');
    signedIn.isClosed = true;
    await sse.disconnect({ channel: 'order:7' }, { refuseMs: 0 });
    for (const [n, [heading, environment, , end]] of snippets.entries()) {
      const program = programs[n]!;
      if (end) await until(() => program.lines.includes(end));
      if (environment === 'Python') {
        expect(await (program as Cli).end()).toBe(1);
        expect((program as Cli).stderr).toContain('HTTP Error 401');
      }
      const lines = ['paid', 'packed', 'load', 'sent', ...(end ? [end] : [])];
      expect([heading, environment, program.lines]).toEqual([heading, environment, lines]);
    }
  });

  it('has a snippet for EventSource that survives a 503 of a proxy', async () => {
    const { sse, publish, signedIn, relay } = await startOrders(platform, { options: { retryMs: 500 } });
    const page = await inPage(snippetsOf('EventSource', relay.url)[1]!, relay);
    await until(() => sse.stats().streams === 1);
    await publish('paid');
    await until(() => page.lines.includes('paid'));
    Object.assign(signedIn, { isClosed: true, status: 503 });
    relay.cut();
    await until(() => relay.responses.includes(' 503 '));
    await publish('packed');
    signedIn.isClosed = false;
    // The snippet waits for up to 10 s.
    await until(() => page.lines.includes('packed'), Boolean, 30_000);
    expect(page.lines).toEqual(['paid', 'packed']);
    expect(relay.heads.at(-1)).toMatch(/^GET \S+\?lastEventId=\d/);
    // It reconnects by itself again, by the header, which takes precedence over the older position in its URL.
    await publish('sent');
    await until(() => page.lines.includes('sent'));
    relay.cut();
    await publish('delivered');
    await until(() => page.lines.includes('delivered'));
    expect(page.lines).toEqual(['paid', 'packed', 'sent', 'delivered']);
    expect(relay.heads.at(-1)).toMatch(/\?lastEventId=\d[^]*^last-event-id: \d/im);
  }, 60_000);

  it('has a command for curl that shows the stream, and ends by a status', async () => {
    const { sse, publish, signedIn, relay } = await startOrders(platform);
    const [command] = snippetsOf('curl', relay.url);
    const curl = new Cli('', { TOKEN: 'secret' }, ['sh', '-c', command!]);
    await until(() => sse.stats().streams === 1);
    await publish('paid');
    await until(() => curl.lines.includes('data: {"status":"paid"}'));
    const id = curl.lines.findLast((line) => line.startsWith('id: '))!.slice(4);
    await publish('packed');
    const resuming = `${command!.trim()} --header "Last-Event-ID: ${id}"`;
    const again = new Cli('', { TOKEN: 'secret' }, ['sh', '-c', resuming]);
    await until(() => again.lines.includes('data: {"status":"packed"}'));
    expect(again.stdout).not.toContain('paid');
    signedIn.isClosed = true;
    const refused = new Cli('', { TOKEN: 'secret' }, ['sh', '-c', command!]);
    expect(await refused.end()).toBe(22);
    expect(refused.stdout).toBe('');
  });

  it('names an exception of a guard that ends clients by 204', async () => {
    const { signedIn, relay } = await startOrders(platform);
    Object.assign(signedIn, { isClosed: true, status: 204 });
    const program = await inNode(snippetsOf('eventsource', relay.url)[0]!);
    await until(() => program.lines.includes('ended by 204'));
  });
});

describe.each(platforms)('A page of another origin, before %s,', (_, platform) => {
  const listen = `
    source.addEventListener('status', ({ data }) => console.log(JSON.parse(data).status));
    source.addEventListener('error', () => source.readyState === 2 && console.log('closed'));
  `;
  const withCookies = ({ url }: Relay) =>
    `const source = new EventSource('${url}/orders/7/events', { withCredentials: true }); ${listen}`;
  const preflights = ({ heads }: Relay) =>
    heads
      .filter((head) => head.startsWith('OPTIONS '))
      .map((head) => /^access-control-request-headers: (.*)$/im.exec(head)![1]);
  const gets = ({ heads }: Relay) => heads.filter((head) => head.startsWith('GET '));

  it.each([
    ['the option origins alone', undefined],
    ['enableCors() of the document besides', documentedCors],
  ])('reads with cookies by %s, and resumes without a preflight', async (_what, configure) => {
    const { sse, publish, relay } = await startOrders(platform, { options: { retryMs: 500 }, configure });
    const page = await runInPage(withCookies(relay), cookieFor(relay));
    await until(() => sse.stats().streams === 1);
    await publish('paid');
    await until(() => page.lines.includes('paid'));
    relay.cut();
    await publish('packed');
    await until(() => page.lines.includes('packed'));
    expect(page.lines).toEqual(['paid', 'packed']);
    expect(preflights(relay)).toEqual([]);
    expect(gets(relay).at(-1)).toMatch(/^last-event-id: \d+-\d+$/im);
  });

  it('is refused with its cookies without the option origins, whatever enableCors() allows', async () => {
    const { relay } = await startOrders(platform, { options: { origins: [] }, configure: documentedCors });
    const page = await runInPage(withCookies(relay), cookieFor(relay));
    await until(() => page.lines.includes('closed'));
    expect(relay.responses).toMatch(/^HTTP\/1\.1 403 /);
  });

  it('reads with a bearer token after a preflight, and resumes', async () => {
    const { sse, publish, relay } = await startOrders(platform, {
      options: { origins: [], retryMs: 500 },
      configure: documentedCors,
    });
    const page = await runInPage(AROUND + snippetsOf('fetch-event-source', relay.url)[0]!);
    await until(() => sse.stats().streams === 1);
    await publish('paid');
    await until(() => page.lines.includes('paid'));
    relay.cut();
    await publish('packed');
    await until(() => page.lines.includes('packed'));
    expect(page.lines).toEqual(['paid', 'packed']);
    expect(preflights(relay)[0]).toBe('authorization');
    expect(gets(relay).at(-1)).toMatch(/^last-event-id: \d+-\d+$/im);
  });

  it('does not resume where Last-Event-ID is not an allowed header', async () => {
    const { sse, publish, relay } = await startOrders(platform, {
      options: { retryMs: 500 },
      configure: (app) => app.enableCors({ origin: siteOrigin(), allowedHeaders: ['Authorization'] }),
    });
    const page = await runInPage(AROUND + snippetsOf('fetch-event-source', relay.url)[0]!);
    await until(() => sse.stats().streams === 1);
    await publish('paid');
    await until(() => page.lines.includes('paid'));
    relay.cut();
    await until(() => preflights(relay).length > 2);
    expect(preflights(relay).slice(0, 3)).toEqual([
      'authorization',
      'authorization,last-event-id',
      'authorization,last-event-id',
    ]);
    expect(gets(relay)).toHaveLength(1);
  });

  it.each([
    ['is told the 401 of a guard by enableCors()', documentedCors, ['ended by 401']],
    ['takes the 401 of a guard for a network error without it, and retries', undefined, []],
  ])('%s', async (_what, configure, lines) => {
    const { signedIn, relay } = await startOrders(platform, { configure });
    signedIn.isClosed = true;
    const script = snippetsOf('fetch-event-source', relay.url)[0]!.replace(
      'headers: { Authorization: `Bearer ${token}` }',
      `credentials: 'include'`,
    );
    const page = await runInPage(AROUND + script, cookieFor(relay));
    await until(() => page.lines.length > 0 || gets(relay).length > 1);
    expect(page.lines).toEqual(lines);
    expect(relay.responses).toMatch(/^HTTP\/1\.1 401 /);
  });
});
