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
    guard: 'a client that disconnects while a guard runs is not subscribed',
    find: `    if (isGone(raw) || raw.writableEnded) return;\n`,
    replace: '',
  },
  {
    ...streams,
    guard: 'a response to HEAD has no body',
    find: `if (request.method === 'HEAD') {`,
    replace: `if (request.method === 'NONE') {`,
    tests: ['test/input.subscribe.spec.ts › `HEAD`'],
  },
  {
    ...streams,
    file: 'src/http/platform.ts',
    guard: 'an invalid header is not part of its error response',
    find: `      reply.removeHeader(name);\n`,
    replace: '',
  },
  {
    ...streams,
    guard: 'response headers wait for the broker for a limited time',
    find: `    timer = setTimeout(resolve, HEADERS_WAIT_MS).unref();\n`,
    replace: '',
    tests: ['test/shutdown.spec.ts › opens connections with only response headers'],
  },
  {
    file: 'src/connections/connections.ts',
    guard: 'shutdown does not wait for clients that do not read',
    find: `await Promise.race([all, sleep(END_MS, undefined, { ref: false })]);`,
    replace: `await all;`,
    tests: ['test/shutdown.spec.ts'],
  },
  {
    ...openStreams,
    guard: 'a client that reads slowly stays connected',
    find: `else if (mark?.progress !== progress)`,
    replace: `else if (!mark)`,
  },
  {
    ...openStreams,
    guard: 'a client that does not read for long is disconnected',
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
    guard: 'the last connection stops the timers',
    find: `    for (const timer of this.#timers) clearInterval(timer);\n`,
    replace: '',
  },
  {
    file: 'src/http/pipelining.ts',
    guard: 'a pipelined request behind an event stream is refused',
    find: `    response.writeHead(503, { Connection: 'close' }).end();\n    this.#aheadOf(socket)?.end();\n    return false;`,
    replace: `    return true;`,
    tests: ['test/shares.socket.spec.ts'],
  },
  {
    file: 'src/http/pipelining.ts',
    guard: 'a pipelined request behind a complete response is not refused',
    find: `      if (!isQueued(response)) return true;\n`,
    replace: '',
    tests: [`${WRITES_SPEC} › wait for the response to an earlier request`],
  },
  {
    file: 'src/routes/sse-channel.decorator.ts',
    guard: 'Nest responds although a handler injects the response',
    find: `    Render(VIEW)(target, key, descriptor);\n`,
    replace: '',
    tests: [`${RESPONSES_SPEC} › lets a handler use @Res`],
  },
  {
    file: 'src/http/socket-writer.ts',
    guard: 'nothing is written once the client has closed its side',
    find: `!this.#hasEnded && this.socket.writable`,
    replace: `!this.#hasEnded`,
    tests: ['test/detached.spec.ts › gets what was written before'],
  },
  {
    file: 'src/http/socket-writer.ts',
    guard: 'the end is not written once the client has closed its side',
    find: `    if (this.socket.writable) this`,
    replace: `    this`,
    tests: ['test/detached.spec.ts › gets what was written before'],
  },
];
