/** @fastify/sse: it has no channels, so there is a Set of replies for each. */
import fastifySse from '@fastify/sse';
import { fastify } from 'fastify';
import { channelsOf } from '../plan.js';
import { control, Groups } from './control.js';

const groups = new Groups();
const app = fastify();
await app.register(fastifySse);

app.get('/:topology', { sse: { kind: 'only', heartbeat: false } }, async ({ query }, { sse, raw }) => {
  const channels = channelsOf(query);
  sse.keepAlive();
  sse.sendHeaders();
  // Otherwise the headers wait for the first event.
  raw.flushHeaders();
  for (const channel of channels) groups.of(channel).add(sse);
  sse.onClose(() => {
    for (const channel of channels) groups.of(channel).delete(sse);
  });
});

await app.listen({ port: 0, host: '127.0.0.1' });
await control(app.server, (channel, data) => {
  for (const sse of groups.of(channel)) void sse.send({ data });
});
