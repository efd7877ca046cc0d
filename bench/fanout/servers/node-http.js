/**
 * The cost of Node.js itself: one Buffer for all clients, with `res.write()`, or as a ready-made HTTP/1.1 chunk on the
 * socket. Frames have the same length as those of the module. Neither has a limit for clients that do not read.
 */
import { createServer } from 'node:http';
import { channelsOf } from '../plan.js';
import { control, Groups, options } from './control.js';

const groups = new Groups();
const head = { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' };

const server = createServer((request, response) => {
  const channels = channelsOf(Object.fromEntries(new URL(request.url, 'http://localhost').searchParams));
  response.socket.setNoDelay(true);
  response.writeHead(200, head).flushHeaders();
  for (const channel of channels) groups.of(channel).add(response);
  response.on('close', () => {
    for (const channel of channels) groups.of(channel).delete(response);
  });
});

let count = 0;
const frameOf = (data) => `id: ${Date.now()}-${100_000 + count++}\ndata: ${JSON.stringify(data)}\n\n`;

function write(channel, data) {
  const frame = Buffer.from(frameOf(data));
  for (const response of groups.of(channel)) response.write(frame);
}

const pending = new Map();

/** Sends all events of one turn of the event loop to each client in one write. */
function writeToSocket(channel, data) {
  const frame = frameOf(data);
  const chunk = `${frame.length.toString(16)}\r\n${frame}\r\n`;
  if (pending.size === 0) setImmediate(flush);
  pending.set(channel, (pending.get(channel) ?? '') + chunk);
}

function flush() {
  for (const [channel, chunks] of pending) {
    const buffer = Buffer.from(chunks);
    for (const { socket } of groups.of(channel)) socket.write(buffer);
  }
  pending.clear();
}

server.listen(0, '127.0.0.1', () => control(server, options.mode === 'write' ? write : writeToSocket));
