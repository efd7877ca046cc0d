import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { clientScript } from './support/client-page.js';
import { installMissing } from './support/global-setup.js';
import { type Answer, resuming, ScriptedServer, status, stream } from './support/scripted-server.js';
import { until } from './support/until.js';

const FIREFOX = 'firefox-esr';
const EVENTS = ['id: 1\ndata: ä\n\n', 'id: 2\ndata: b\n\n', 'id: 3\ndata: c\n\n'];
/** Reports states and data to the server, one after the other. */
const START = `
  let reported = Promise.resolve();
  const report = (text) => (reported = reported.then(() => fetch('/seen?' + encodeURIComponent(text))));
  const source = client.createSource(location.origin + '/feed', {}, 10);
  source.on('message', report).on('sse.state', (state) => report(state + ' ' + (source.error?.status ?? '')));
`;

describe('The client in Firefox', () => {
  const profile = mkdtempSync(join(tmpdir(), 'sse-firefox-'));
  let script: string;
  beforeAll(async () => {
    installMissing([FIREFOX]);
    script = await clientScript();
  });
  afterAll(() => rmSync(profile, { recursive: true, force: true, maxRetries: 5 }));

  it('resumes where the connection breaks, and after 502, with each event once, and ends with 204', async () => {
    const seen: string[] = [];
    const ids: unknown[] = [];
    let cut = () => {};
    const feed = [stream(EVENTS.join('').slice(0, -1)), status(502), resuming(EVENTS), status(204)];
    const answer: Answer = (response, request) => {
      const [path, query = ''] = request.url!.split('?');
      if (path === '/feed') {
        cut = () => response.destroy();
        ids.push(request.headers['last-event-id']);
        return feed.shift()!(response, request);
      }
      if (path === '/seen') seen.push(decodeURIComponent(query));
      const page = `<!doctype html><meta charset="utf-8"><script>${script}${START}</script>`;
      status(200, { 'content-type': 'text/html' }, path === '/start' ? page : '')(response, request);
    };
    const server = await ScriptedServer.start(answer);
    const args = ['--headless', '--no-remote', '--profile', profile, new URL('/start', server.url).href];
    const firefox = spawn(FIREFOX, args, { stdio: 'ignore', detached: true });
    try {
      await until(
        () => seen,
        (all) => all.includes('b'),
      );
      cut();
      await until(() => seen.includes('c'));
      cut();
      await until(() => seen.includes('ended '));
    } finally {
      process.kill(-firefox.pid!, 'SIGKILL');
    }
    const again = 'connecting waiting 502 connecting 502 open';
    expect(seen.map((each) => each.trim()).join(' ')).toBe(
      `open ä b waiting ${again} c waiting connecting ended`,
    );
    expect(ids).toEqual([undefined, '2', '2', '3']);
  });
});
