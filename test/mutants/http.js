const RESPONSES_SPEC = 'test/responses.spec.ts';
const WRITES_SPEC = 'test/writes.spec.ts';
const STREAM_SPEC = 'src/http/event-stream.spec.ts';

const stream = { file: 'src/http/event-stream.ts', tests: [STREAM_SPEC] };
const streams = { file: 'src/http/event-streams.ts', tests: [RESPONSES_SPEC] };
const openStreams = { file: 'src/http/open-streams.ts', tests: ['src/http/open-streams.spec.ts'] };

export const http = [
  {
    ...stream,
    guard: 'a client that does not read is cut',
    find: `    if (this.#batch && this.pending > MAX_PENDING_BYTES + this.#allowance) this.cut();\n`,
    replace: '',
    tests: ['test/shutdown.spec.ts › cuts a client that falls a mebibyte behind'],
  },
  {
    ...stream,
    guard: 'a client is cut once',
    find: `    if (isGone(this.response)) return;\n`,
    replace: '',
  },
  {
    ...stream,
    guard: 'a client is not cut for what it missed',
    find: ` + this.#allowance) this.cut();`,
    replace: `) this.cut();`,
  },
  {
    ...stream,
    guard: 'in HTTP/2 it is the stream that says whether a client has read',
    find: `this.#socket ?? this.response.stream ?? this.response`,
    replace: `this.#socket ?? this.response`,
  },
  {
    ...stream,
    guard: 'a write() that fails ends its stream, and nothing else',
    find: `      // Not Node's own: somebody has put a \`write()\` of theirs in front of it.\n      this.#fail(error);`,
    replace: `      throw error;`,
  },
  {
    ...stream,
    guard: 'a quiet client gets heartbeats, and no other',
    find: `this.response.headersSent && this.pending === 0`,
    replace: `this.response.headersSent`,
  },
  {
    ...stream,
    guard: 'a replay waits until its client has read',
    find: `if (!target.writableNeedDrain) return undefined;`,
    replace: `if (target) return undefined;`,
    tests: ['test/resume.spec.ts › waits for a client that reads slowly'],
  },
  {
    ...stream,
    guard: 'a heartbeat does not begin a stream',
    find: `if (this.response.headersSent && this.pending === 0)`,
    replace: `if (this.pending === 0)`,
    tests: [`${RESPONSES_SPEC} › has its own head after 2 s`],
  },
  {
    ...stream,
    guard: 'no filter holds control events back',
    find: `filter && !event.event.type?.startsWith('sse.') && !filter(event.event)`,
    replace: `filter && !filter(event.event)`,
    tests: ['test/streams.spec.ts › sends only what the filter lets through'],
  },
  {
    ...stream,
    guard: 'a time-out of the server is not one of its streams',
    find: `    if (httpVersionMajor === 1 && socket instanceof Socket) socket.setTimeout(0);\n`,
    replace: '',
    tests: [`${RESPONSES_SPEC} › stays open longer than the server`],
  },
  {
    ...stream,
    guard: 'nothing is written behind the end of a response',
    find: `    if (isGone(this.response) || this.response.writableEnded) return;\n`,
    replace: '',
  },
  {
    ...stream,
    guard: 'a write() that somebody has put in front is used',
    find: `response.write === ServerResponse.prototype.write && response.socket instanceof Socket`,
    replace: `response.socket instanceof Socket`,
    tests: [`${WRITES_SPEC} › goes through a write()`],
  },
  {
    ...stream,
    guard: 'HTTP/1.0 has no chunks',
    find: `response.chunkedEncoding ? batch.chunk : batch.bytes`,
    replace: `batch.chunk`,
    tests: ['test/input.spec.ts › HTTP/1.0'],
  },
  {
    file: 'src/http/outbox.ts',
    guard: 'a turn begins anew',
    find: `    this.#start = new Batch();\n    for`,
    replace: `    for`,
    tests: [STREAM_SPEC],
  },
  {
    file: 'src/http/batch.ts',
    guard: 'clients that get the same share its bytes',
    find: `    if (next?.frame === frame && next.id === id) return next;\n`,
    replace: '',
    tests: ['src/http/batch.spec.ts'],
  },
  {
    file: 'src/http/batch.ts',
    guard: 'clients that get an event with another id do not share its bytes',
    find: ` && next.id === id`,
    replace: '',
    tests: ['src/http/batch.spec.ts'],
  },
  {
    file: 'src/http/sse-channel.decorator.ts',
    guard: 'Nest does not answer behind a stream',
    find: `    Reflect.defineMetadata('__responsePassthrough__', false, target.constructor, key);\n`,
    replace: '',
    tests: [`${RESPONSES_SPEC} › leaves a handler its own @Res`],
  },
  {
    ...streams,
    guard: 'who has left while a guard was at work is not subscribed',
    find: `    if (isGone(raw) || raw.writableEnded) return undefined;\n`,
    replace: '',
  },
  {
    ...streams,
    guard: 'an answer to HEAD has no body',
    find: `if (request.method === 'HEAD') {`,
    replace: `if (request.method === 'NONE') {`,
    tests: ['test/input.spec.ts › `HEAD`'],
  },
  {
    ...streams,
    guard: 'an unfit header is not part of the answer to the error that it is',
    find: `      reply.removeHeader(name);\n`,
    replace: '',
  },
  {
    ...streams,
    guard: 'a head does not wait for the broker for ever',
    find: `await Promise.race([ready, stream.closed(), sleep(HEAD_WAIT_MS, undefined, { ref: false })]);`,
    replace: `await Promise.race([ready, stream.closed()]);`,
    tests: ['test/shutdown.spec.ts › opens streams with the head alone'],
  },
  {
    ...streams,
    guard: 'the end does not wait for clients that do not read',
    find: `await Promise.race([Promise.all(all), sleep(END_WAIT_MS, undefined, { ref: false })]);`,
    replace: `await Promise.all(all);`,
    tests: ['test/shutdown.spec.ts'],
  },
  {
    ...openStreams,
    guard: 'a client that reads, if slowly, is let be',
    find: `else if (!mark || sent - pending >= mark.sent)`,
    replace: `else if (!mark)`,
  },
  {
    ...openStreams,
    guard: 'a client that does not read in time is cut',
    find: `      else if (now - mark.since >= STALL_MS) stream.cut();\n`,
    replace: '',
  },
  {
    ...openStreams,
    guard: 'a stream that waits behind another one is given up with its connection',
    find: `      stream.giveUpIfLost();\n`,
    replace: '',
    tests: [`${WRITES_SPEC} › is given up with its connection`],
  },
  {
    ...openStreams,
    guard: 'heartbeats go to a part of the streams at a time',
    find: `if (stream.number % PARTS === this.#part) stream.heartbeat();`,
    replace: `stream.heartbeat();`,
  },
  {
    ...openStreams,
    guard: 'the last stream ends the timers',
    find: `    for (const timer of this.#timers) clearInterval(timer);\n`,
    replace: '',
  },
];
