const SPEC = 'test/streams.formats.spec.ts';
const memory = (title) => [`${SPEC} › on Express in memory ${title}`];

const response = { file: 'src/http/formatted-response.ts' };
const route = { file: 'src/routes/sse-stream.interceptor.ts' };
const whole = { file: 'src/client/whole-answer.ts', tests: ['src/client/whole-answer.spec.ts'] };

/** Streams in other formats, and the client that resumes them. */
export const formats = [
  {
    ...response,
    guard: 'a response in another format has no control events',
    find: `    this.begin();
    const { frames, position }`,
    replace: `    super.open('0-1', ['c']);
    const { frames, position }`,
    tests: memory('has the chunks'),
  },
  {
    ...response,
    guard: 'what a format returns is a text',
    find: `if (typeof text === 'string') return new Frame(text);`,
    replace: `if (text !== null) return new Frame(String(text));`,
    tests: [`${SPEC} › on Express is cut, with a log entry`],
  },
  {
    ...response,
    guard: 'a response in another format is cut where the stream has not ended',
    find: `if (this.endReason === 'ended') super.complete();`,
    replace: `super.complete();
    if (this.endReason) return;`,
    tests: ['src/http/formatted-response.spec.ts'],
  },
  {
    ...response,
    guard: 'a stream of HTTP/2 is reset with an error code',
    find: `this.response.stream?.destroy(`,
    replace: `this.response.stream?.emit('cut', `,
    tests: [`${SPEC} › over HTTP/2`],
  },
  {
    ...response,
    guard: 'a refused client of another format gets 503',
    find: `if (response.headersSent || isGone(response)) return this.#cut();`,
    replace: `return this.#cut();`,
    tests: [`${SPEC} › on Express is 503`],
  },
  {
    ...response,
    guard: 'a client of another format gets the events after its own position',
    find: `|| checkDecision(isWanted(event), 'after()')`,
    replace: `|| true`,
    tests: memory('may be of the application'),
  },
  {
    ...response,
    guard: 'an event that a format cannot write cuts the connection',
    find: `this.fail(error);`,
    replace: `void error;`,
    tests: [`${SPEC} › on Express is cut, with a log entry`],
  },
  {
    ...response,
    guard: 'a reader that would need a reset gets the end as lost',
    find: `if (event.type === 'sse.reset') return this.#lose();`,
    replace: ``,
    tests: [`${SPEC} › on Express ends as lost`],
  },
  {
    file: 'src/formats/ai-ui.ts',
    guard: 'data that is no chunk of a UI message is not sent',
    find: `if (typeof type === 'string') return`,
    replace: `if (type !== null) return`,
    tests: [`${SPEC} › on Express is cut, with a log entry`],
  },
  {
    ...route,
    guard: 'an ended stream is not replayed to a client of the AI SDK',
    find: `(replaysEnded || !end)`,
    replace: `true`,
    tests: memory('is 204'),
  },
  {
    ...route,
    guard: 'the request that starts a stream gets it also after its end',
    find: `if (started) return generation;`,
    replace: ``,
    tests: memory('is delivered by the request'),
  },
  {
    ...route,
    guard: 'an id of an earlier generation is no position for a format',
    find: `compareCursors(lastEventId, generation) >= 0`,
    replace: `true`,
    tests: memory('is 204'),
  },
  {
    ...route,
    guard: 'a client of another format gets 503 where an EventSource would retry',
    find: `return !this.frames && super.retries(request);`,
    replace: `return super.retries(request);`,
    tests: [`${SPEC} › on Express is 503`],
  },
  {
    ...whole,
    guard: 'a part of an event is dropped with its connection',
    find: `text.lastIndexOf('\\n\\n') + 2`,
    replace: `text.length`,
  },
  {
    ...whole,
    guard: 'an answer without [DONE] is continued',
    find: `if (/^data: \\[DONE\\]$/m.test(blocks)) return;`,
    replace: `if (blocks !== '') return;`,
  },
  {
    ...whole,
    guard: 'a refusal ends the answer',
    find: `if (isRefused || failures`,
    replace: `if (failures`,
  },
  {
    ...whole,
    guard: 'the connection closes when the reader leaves',
    find: `cancel: () => over.abort(),`,
    replace: `cancel: () => undefined,`,
  },
];
