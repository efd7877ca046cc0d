/** better-sse: sessions registered with channels. */
import { createServer } from 'node:http';
import { createChannel, createSession } from 'better-sse';
import { channelsOf } from '../plan.js';
import { control } from './control.js';

const channels = new Map();

function channelOf(name) {
  if (!channels.has(name)) channels.set(name, createChannel());
  return channels.get(name);
}

const server = createServer(async (request, response) => {
  const query = Object.fromEntries(new URL(request.url, 'http://localhost').searchParams);
  const session = await createSession(request, response, { keepAlive: null });
  for (const channel of channelsOf(query)) channelOf(channel).register(session);
});

server.listen(0, '127.0.0.1', () =>
  control(server, (channel, data) => void channels.get(channel)?.broadcast(data)),
);
