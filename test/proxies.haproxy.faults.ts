import { describe, expect, it } from '@jest/globals';
import { platforms } from './support/app.js';
import type { SseClient } from './support/client.js';
import { start } from './support/proxied-app.js';
import { ReverseProxy } from './support/reverse-proxy.js';
import { until } from './support/until.js';

describe('HAProxy', () => {
  it('forwards each event at once without TLS, too, and would wait 200 ms without http-no-delay', async () => {
    const { sse, url } = await start(platforms[0][1]);
    const open = async (changes: Record<string, string>) => {
      const plain = { 'ssl crt /etc/haproxy/app.pem alpn h2,http/1.1': '' };
      const proxy = await ReverseProxy.start('haproxy', [url], { ...plain, ...changes });
      const client = await proxy.connect('/channel');
      await client.next();
      return async () => {
        const published = performance.now();
        await sse.publish('small');
        await client.next();
        return performance.now() - published;
      };
    };
    const quick = await open({});
    // On a busy machine an event may take longer, but never less.
    await until(async () => (await quick()) < 100);
    const slow = await open({ 'option http-no-delay': '' });
    for (let n = 0; n < 5; n++) expect(await slow()).toBeGreaterThan(100);
  });

  it('compresses other responses, and leaves event streams unchanged', async () => {
    const { url } = await start(platforms[0][1]);
    const proxy = await ReverseProxy.start('haproxy', [url]);
    const paths = ['/health', '/channel'];
    const clients = await Promise.all(
      paths.map((path) => proxy.connect(path, { 'accept-encoding': 'gzip' })),
    );
    expect(clients.map(({ headers }) => headers['content-encoding'])).toEqual(['gzip', undefined]);
  });

  it.each(platforms)(
    'sends no new connections to a node with 503 from /health, and keeps its open ones (%s)',
    async (_, platform) => {
      const [one, other] = [await start(platform), await start(platform)];
      const proxy = await ReverseProxy.start('haproxy', [one.url, other.url], {
        // A response may take longer here than the interval between checks.
        'timeout connect 5s': 'timeout connect 5s\n timeout check 5s',
        'inter 2s': 'inter 50ms',
      });
      const counts = () => [one.sse.stats().connections, other.sse.stats().connections];
      const open = async (count: number) => {
        const clients: SseClient[] = [];
        for (let n = 0; n < count; n++) clients.push(await proxy.connect('/channel'));
        return clients;
      };
      /** Resolves after more checks than HAProxy needs to change the state of the node. */
      const setHealth = async (ok: boolean) => {
        one.health.ok = ok;
        one.health.asked = 0;
        await until(() => one.health.asked > 3);
      };
      const clients = await open(2);
      expect(counts()).toEqual([1, 1]);
      await setHealth(false);
      await open(4);
      expect(counts()).toEqual([1, 5]);
      await one.sse.publish('goes on');
      await until(() => clients.some(({ text }) => text.includes('goes on')));
      await setHealth(true);
      await open(4);
      expect(counts()).toEqual([5, 5]);
    },
  );
});
