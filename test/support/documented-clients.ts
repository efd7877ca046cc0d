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
import { type Platform, startApp } from './app.js';
import { siteOrigin } from './client-runs.js';
import { Relay } from './relay.js';

/** Accepts requests with the token or the cookie. */
@Injectable()
class SignedIn implements CanActivate {
  /** The status of a refusal. */
  status = 401;
  /** Refuses every request. */
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

const clientsDocument = readFileSync('docs/clients.md', 'utf8');

/** The snippets of a section of docs/clients.md, in order, with the origins of the application and the page of the test. */
export function snippetsOf(heading: string, apiUrl: string): string[] {
  const section = clientsDocument.split(/^## /m).find((text) => text.startsWith(`${heading}\n`))!;
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

/** Starts an application with the documented `origins`, unless `options` replace them, behind a relay. */
export async function startOrders(
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

/** The documented call of `enableCors()`. */
export const documentedCors = (app: INestApplication) => void corsSnippet!(app);
export const cookieFor = ({ url }: Relay) => ({ url, value: 'secret' });

/** The code that a JavaScript snippet expects around it. */
export const AROUND = `globalThis.token = 'secret'; globalThis.load = () => console.log('load');\n`;
