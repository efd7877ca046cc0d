/** Mutants of responses that are let go. */
const SPEC = 'test/detached.spec.ts';
const KEPT_SPEC = 'test/detached.kept.spec.ts';
const file = 'src/http/detached-socket.ts';
const writer = 'src/http/socket-writer.ts';

export const detached = [
  {
    file: 'src/http/sse-response.ts',
    guard: 'nothing of the request and response is kept',
    find: `    if (!writer) return false;\n    this.#writer = writer;`,
    replace: `    if (writer) return false;`,
    tests: [`${SPEC} › keeps nothing of its request`],
  },
  {
    file,
    guard: 'a response that is listened to is kept',
    find: `listeners.every((listener) => listener.name === OWN || isIdle(listener))`,
    replace: `listeners.length > 0`,
    tests: [`${KEPT_SPEC} › keeps its response for`],
  },
  {
    file,
    guard: 'a response whose request is listened to is kept',
    find: ` || request.eventNames().length > 0`,
    replace: '',
    tests: [`${KEPT_SPEC} › keeps its response for`],
  },
  {
    file,
    guard: 'a response is kept for middleware that waits for the call of its end',
    find: `  if (response.end !== ServerResponse.prototype.end) return false;\n`,
    replace: '',
    tests: [`${KEPT_SPEC} › keeps its response for`],
  },
  {
    file,
    guard: 'a response is kept for monitors of all requests',
    find: ` || finished.hasSubscribers`,
    replace: '',
    tests: [`${KEPT_SPEC} › keeps its response for`],
  },
  {
    file,
    guard: 'a listener of CONNECT never gets a request that is none',
    find: `server.listenerCount('connect') > 0 || `,
    replace: '',
    tests: [`${KEPT_SPEC} › keeps its response for`],
  },
  {
    file,
    guard: 'what a client has sent behind its request is read',
    find: `  if (unread) socket.unshift(unread);\n`,
    replace: '',
    tests: [`${SPEC} › ends for a request`],
  },
  {
    file,
    guard: 'a socket that was paused is read again',
    find: `  socket.resume();\n`,
    replace: '',
    tests: [`${SPEC} › ends for a request`],
  },
  {
    file,
    guard: 'a server closes all connections',
    find: `      closes[name]();\n`,
    replace: '',
    tests: [`${SPEC} › is closed by the server`],
  },
  {
    file: writer,
    guard: 'the next request on a connection is served',
    find: `    giveBack(socket, this.#unread);`,
    replace: '',
    tests: [`${SPEC} › serves the next request`],
  },
  {
    file: writer,
    guard: 'code that has the response sees its end',
    find: `    response?.emit('close');\n`,
    replace: '',
    tests: [`${SPEC} › lets code`],
  },
  {
    file: writer,
    guard: 'code that has the response can end it',
    find: `    response.end = () => (owner.complete(), response);\n`,
    replace: '',
    tests: [`${SPEC} › lets code`],
  },
  {
    file: writer,
    guard: 'a client that closes its side is gone',
    find: `  this.end();\n`,
    replace: '',
    tests: [`${SPEC} › ends when the client closes its side`],
  },
  {
    file: 'src/http/idle-listeners.ts',
    guard: 'hooks of Fastify run at the end of a response',
    find: `  return ({ name }) => isEmpty && name === FASTIFY;`,
    replace: `  return ({ name }) => name === FASTIFY;`,
    tests: [`${KEPT_SPEC} › runs the hooks`],
  },
  {
    file: 'src/http/sse-responses.ts',
    guard: 'a response is kept while another one is queued behind it',
    find: ` || this.#pipelining.hasQueued(socket)`,
    replace: '',
    tests: ['test/shares.socket.spec.ts'],
  },
];
