import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { join } from 'node:path';
import type { BrowserContext, Page } from 'playwright-core';

/** The files of npm packages that a page imports by name, as a bundler resolves them. */
const IMPORTS = {
  '@hotwired/turbo': '/node_modules/@hotwired/turbo/dist/turbo.es2017-esm.js',
  '@tanstack/query-core': '/node_modules/@tanstack/query-core/build/modern/index.js',
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
      response.setHeader('Access-Control-Allow-Origin', '*');
      // Bundlers also resolve modules that are imported without `.js`, and those of a folder.
      const file = join(process.cwd(), request.url!.replace(/(\.js)?$/, '.js'));
      const ofFolder = `export * from '${request.url}/index.js';`;
      return void readFile(file).then(
        (text) => response.end(text),
        () =>
          (existsSync(join(process.cwd(), request.url!)) ? response : response.writeHead(404)).end(ofFolder),
      );
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new Site(server);
  }

  /** The import map for pages of another origin. */
  get importMap(): string {
    const imports = Object.entries(IMPORTS).map(([name, path]) => [name, this.origin + path]);
    return `<script type="importmap">${JSON.stringify({ imports: Object.fromEntries(imports) })}</script>`;
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
