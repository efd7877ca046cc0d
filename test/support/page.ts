import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { join } from 'node:path';
import type { BrowserContext, Page } from 'playwright-core';

/** The files of npm packages that a page imports by name, as a bundler resolves them. */
const IMPORTS = {
  '@microsoft/fetch-event-source': '/node_modules/@microsoft/fetch-event-source/lib/esm/index.js',
  'extended-eventsource': '/node_modules/extended-eventsource/dist/index.esm.js',
  eventsource: '/node_modules/eventsource/dist/index.js',
  'eventsource-client': '/node_modules/eventsource-client/dist/default.esm.js',
  'eventsource-parser': '/node_modules/eventsource-parser/dist/index.js',
};
const HTML = `<!doctype html><link rel="icon" href="data:,">
<script type="importmap">${JSON.stringify({ imports: IMPORTS })}</script>`;

/** A separate site: an empty page that can import the client packages. */
export class Site {
  private constructor(private readonly server: Server) {}

  static async start(): Promise<Site> {
    const server = createServer((request, response) => {
      if (!request.url!.startsWith('/node_modules/')) {
        response.setHeader('Content-Type', 'text/html');
        return response.end(HTML);
      }
      response.setHeader('Content-Type', 'text/javascript');
      // Bundlers also resolve modules that are imported without `.js`.
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

/** A page, and the console output of its script. */
export class ScriptedPage {
  readonly lines: string[] = [];
  readonly errors: string[] = [];

  constructor(readonly page: Page) {
    // The browser reports failed requests as console errors.
    page.on('console', (message) => {
      if (message.type() === 'log') this.lines.push(message.text());
    });
    page.on('pageerror', ({ message }) => this.errors.push(message));
  }
}
