import { describe, expect, it } from '@jest/globals';
import { platforms } from './support/app.js';
import { Cli } from './support/cli.js';
import { runInNode, runInPage } from './support/client-runs.js';
import { AROUND, cookieFor, documentedCors, snippetsOf, startOrders } from './support/documented-clients.js';
import { Relay } from './support/relay.js';
import { until } from './support/until.js';

describe.each(platforms)('docs/clients.md, with %s,', (_, platform) => {
  const inPage = (code: string, relay: Relay) => runInPage(AROUND + code, cookieFor(relay));
  const inNode = (code: string) => runInNode(AROUND + code);
  const inPython = (code: string) => new Cli('', { TOKEN: 'secret' }, ['python3', '-u', '-c', code]);

  it('has a snippet for each client that reads, resumes, learns of lost events, and ends', async () => {
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
    const disconnect = () => relays.forEach((relay) => relay.cut());
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
    await until(() => sse.stats().connections === snippets.length);
    await publish('paid');
    await printed('paid');
    disconnect();
    await publish('packed');
    await printed('packed');
    disconnect();
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
    await until(() => sse.stats().connections === 1);
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
    // It reconnects with the Last-Event-ID header, which takes precedence over the older position in its URL.
    await publish('sent');
    await until(() => page.lines.includes('sent'));
    relay.cut();
    await publish('delivered');
    await until(() => page.lines.includes('delivered'));
    expect(page.lines).toEqual(['paid', 'packed', 'sent', 'delivered']);
    expect(relay.heads.at(-1)).toMatch(/\?lastEventId=\d[^]*^last-event-id: \d/im);
  }, 60_000);

  it('has a curl command that prints events, and exits on an error status', async () => {
    const { sse, publish, signedIn, relay } = await startOrders(platform);
    const [command] = snippetsOf('curl', relay.url);
    const curl = new Cli('', { TOKEN: 'secret' }, ['sh', '-c', command!]);
    await until(() => sse.stats().connections === 1);
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

  it('names an exception for guards that ends clients with 204', async () => {
    const { signedIn, relay } = await startOrders(platform);
    Object.assign(signedIn, { isClosed: true, status: 204 });
    const program = await inNode(snippetsOf('eventsource', relay.url)[0]!);
    await until(() => program.lines.includes('ended by 204'));
  });
});
