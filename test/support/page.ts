import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { join } from 'node:path';
import type { BrowserContext, Page } from 'playwright-core';

/** Where the modules of npm packages are that a page imports by their names, as a bundler finds them. */
const IMPORTS = {
  '@microsoft/fetch-event-source': '/node_modules/@microsoft/fetch-event-source/lib/esm/index.js',
  'extended-eventsource': '/node_modules/extended-eventsource/dist/index.esm.js',
  eventsource: '/node_modules/eventsource/dist/index.js',
  'eventsource-client': '/node_modules/eventsource-client/dist/default.esm.js',
  'eventsource-parser': '/node_modules/eventsource-parser/dist/index.js',
};
const HTML = `<!doctype html><link rel="icon" href="data:,">
<script type="importmap">${JSON.stringify({ imports: IMPORTS })}</script>`;

/** A site of its own: an empty page that can import the client packages. */
export class Site {
  private constructor(private readonly server: Server) {}

  static async start(): Promise<Site> {
    const server = createServer((request, response) => {
      if (!request.url!.startsWith('/node_modules/')) {
        response.setHeader('Content-Type', 'text/html');
        return response.end(HTML);
      }
      response.setHeader('Content-Type', 'text/javascript');
      // Bundlers find modules that are imported without `.js`.
      const file = join(process.cwd(), request.url!.replace(/(\.js)?$/, '.js'));
      return void readFile(file).then(
        (text) => response.end(text),
        () => response.writeHead(404).end(),
      );
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new Site(server);
  }

  get origin(): string {
    return `http://127.0.0.1:${(this.server.address() as { port: number }).port}`;
  }

  /** Runs a script as a module of a new page. */
  async run(
    context: BrowserContext,
    script: string,
    cookie?: { url: string; value: string },
  ): Promise<ScriptedPage> {
    if (cookie) await context.addCookies([{ name: 'session', sameSite: 'Lax', ...cookie }]);
    const scripted = new ScriptedPage(await context.newPage());
    await scripted.page.goto(this.origin);
    await scripted.page.addScriptTag({ type: 'module', content: script });
    return scripted;
  }

  close(): void {
    this.server.closeAllConnections();
    this.server.close();
  }
}

/** A page, and what its script has written to the console. */
export class ScriptedPage {
  readonly lines: string[] = [];
  readonly errors: string[] = [];

  constructor(readonly page: Page) {
    // The browser reports failed requests as errors of the console.
    page.on('console', (message) => {
      if (message.type() === 'log') this.lines.push(message.text());
    });
    page.on('pageerror', ({ message }) => this.errors.push(message));
  }
}
