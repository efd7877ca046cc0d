import { Body, Controller, Get, Header, Post } from '@nestjs/common';
import type { INestApplication } from '@nestjs/common';

/** A page whose `EventSource` reads stream `a`, and reports to the server what happens to it. */
const PAGE = `<!doctype html><link rel="icon" href="data:,"><script>
  let last = Promise.resolve();
  const report = (kind) => (last = last.then(() => fetch('/seen', {
    method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ kind }),
  })));
  const source = new EventSource('/streams/a');
  for (const type of ['message', 'sse.end']) source.addEventListener(type, ({ data }) => report(type + ' ' + data));
  source.onerror = () => report(source.readyState === EventSource.CLOSED ? 'closed' : 'reconnects');
</script>`;

/** Serves the page, and collects its reports. */
@Controller()
export class EndingPageController {
  readonly seen: string[] = [];

  @Get('page')
  @Header('content-type', 'text/html')
  page() {
    return PAGE;
  }

  @Post('seen')
  report(@Body() { kind }: { kind: string }) {
    this.seen.push(kind);
  }
}

/** The requests of the stream, as `<method> <path> <status>`, once they are answered. */
export function watchRequests(app: INestApplication): string[] {
  const requests: string[] = [];
  app.use((request: { url: string }, response: { statusCode: number; once: Function }, next: () => void) => {
    if (request.url.startsWith('/streams/a')) {
      response.once('close', () => requests.push(`${request.url} ${response.statusCode}`));
    }
    next();
  });
  return requests;
}
