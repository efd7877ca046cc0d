/** @boringnode/transmit, with its own Redis transport, without the POST requests by which its clients subscribe. */
import { createServer } from 'node:http';
// Its entry point for transports also needs an MQTT client.
import { redis } from '@boringnode/bus/transports/redis';
import { Transmit } from '@boringnode/transmit';
import { channelsOf } from '../plan.js';
import { controlOwn, options } from './control.js';

const driver = options.redis ? redis(urlOptions(options.redis)) : null;
const transmit = new Transmit({ pingInterval: false, transport: driver && { driver } }, driver?.());
let clients = 0;

const server = createServer(async (request, response) => {
  const uid = `client${clients++}`;
  const query = Object.fromEntries(new URL(request.url, 'http://localhost').searchParams);
  transmit.createStream({ uid, context: {}, request, response });
  for (const channel of channelsOf(query)) await transmit.subscribe({ uid, channel, context: {} });
});

function urlOptions(url) {
  const { hostname: host, port } = new URL(url);
  return { host, port: Number(port) };
}

server.listen(0, '127.0.0.1', () => controlOwn(server, (channel, data) => transmit.broadcast(channel, data)));
