const RESPONSES_SPEC = 'test/responses.spec.ts';
const WRITES_SPEC = 'test/writes.spec.ts';

const streams = {
  file: 'src/http/sse-responses.ts',
  tests: [RESPONSES_SPEC, 'test/responses.http2.spec.ts'],
};
const openStreams = { file: 'src/connections/heartbeats.ts', tests: ['src/connections/heartbeats.spec.ts'] };

export const responses = [
  {
    ...streams,
    guard: 'who has left while a guard was at work is not subscribed',
    find: `    if (isGone(raw) || raw.writableEnded) return;\n`,
    replace: '',
  },
  {
    ...streams,
    guard: 'an answer to HEAD has no body',
    find: `if (request.method === 'HEAD') {`,
    replace: `if (request.method === 'NONE') {`,
    tests: ['test/input.subscribe.spec.ts › `HEAD`'],
  },
  {
    ...streams,
    file: 'src/http/platform.ts',
    guard: 'an unfit header is not part of the answer to the error that it is',
    find: `      reply.removeHeader(name);\n`,
    replace: '',
  },
  {
    ...streams,
    guard: 'response headers do not wait for the broker for ever',
    find: `await Promise.race([ready, sse.closed(), sleep(HEADERS_WAIT_MS, undefined, { ref: false })]);`,
    replace: `await Promise.race([ready, sse.closed()]);`,
    tests: ['test/shutdown.spec.ts › opens connections with only response headers'],
  },
  {
    file: 'src/connections/connections.ts',
    guard: 'the end does not wait for clients that do not read',
    find: `await Promise.race([all, sleep(END_MS, undefined, { ref: false })]);`,
    replace: `await all;`,
    tests: ['test/shutdown.spec.ts'],
  },
  {
    ...openStreams,
    guard: 'a client that reads, if slowly, is let be',
    find: `else if (mark?.progress !== progress)`,
    replace: `else if (!mark)`,
  },
  {
    ...openStreams,
    guard: 'a client that reads nothing for long is disconnected',
    find: `      if (response && this.#isStalled(connection, response, now)) response.disconnectSlow();\n`,
    replace: '',
  },
  {
    ...openStreams,
    guard: 'heartbeats go to a part of the connections at a time',
    find: `if (number % PARTS === this.#part) response?.heartbeat();`,
    replace: `response?.heartbeat();`,
  },
  {
    ...openStreams,
    guard: 'the last stream ends the timers',
    find: `    for (const timer of this.#timers) clearInterval(timer);\n`,
    replace: '',
  },
  {
    file: 'src/http/pipelining.ts',
    guard: 'a response behind an event stream is refused',
    find: `    response.writeHead(503, { Connection: 'close' }).end();\n    this.#open.get(socket)?.end();\n    return false;`,
    replace: `    return true;`,
    tests: ['test/shares.socket.spec.ts'],
  },
  {
    file: 'src/http/pipelining.ts',
    guard: 'one behind an answer that ends is not',
    find: `      if (!isQueued(response)) return true;\n`,
    replace: '',
    tests: [`${WRITES_SPEC} › wait for the response to an earlier request`],
  },
];
