/** A proxy that ends each response after some time, as if it were complete. Some gateways do so. */
import { once } from 'node:events';
import { createServer, request } from 'node:http';

export async function startCut(target, afterMs) {
  const server = createServer((incoming, outgoing) => {
    const { method, headers } = incoming;
    const upstream = request(`${target}${incoming.url}`, { method, headers }, (response) => {
      outgoing.writeHead(response.statusCode, response.headers);
      response.pipe(outgoing);
      const timer = setTimeout(() => {
        response.unpipe(outgoing);
        outgoing.end();
        upstream.destroy();
      }, afterMs);
      response.once('close', () => clearTimeout(timer));
    });
    upstream.on('error', () => outgoing.destroy());
    incoming.pipe(upstream);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { url: `http://127.0.0.1:${server.address().port}`, close: () => server.close() };
}
