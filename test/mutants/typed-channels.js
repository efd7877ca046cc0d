const pattern = { file: 'src/typed-channels/pattern.ts', tests: ['src/typed-channels/pattern.spec.ts'] };
const INPUT = 'test/input.typed-channels.spec.ts';
const ROUTES = 'test/typed-channels.routes.spec.ts';
const input = (title) => [`${INPUT} › ${title}`];
const routes = (title) => [`${ROUTES} › Express ${title}`];
const publication = { file: 'src/typed-channels/typed-publication.ts' };
const turns = { file: 'src/typed-channels/turns.ts' };
const events = { file: 'src/event/event.ts' };

/** Guards of typed channels. */
export const typedChannels = [
  {
    ...pattern,
    guard: 'a name has values only if these values give it',
    find: `this.nameOf(values) === name ? values : undefined`,
    replace: `values`,
  },
  {
    ...pattern,
    guard: 'texts between parameters keep their values apart',
    find: `const areApart = this.#texts.slice(1, -1).every((text) => /[:/]/.test(text));`,
    replace: `const areApart = true;`,
  },
  {
    ...pattern,
    guard: 'a lone surrogate is no value',
    find: `text !== '' && !/\\p{Cs}/u.test(text)`,
    replace: `text !== ''`,
  },
  {
    ...pattern,
    guard: 'an empty text is no value',
    find: `if (text !== '' && !`,
    replace: `if (!`,
  },
  {
    ...pattern,
    guard: 'a number that JavaScript has rounded is no value',
    find: `(Number.isSafeInteger(value) || !Number.isInteger(value))`,
    replace: `true`,
  },
  {
    ...pattern,
    guard: 'a parameter has one value',
    find: `const isDistinct = new Set(this.parameters).size === this.parameters.length;`,
    replace: `const isDistinct = true;`,
  },
  {
    ...pattern,
    guard: 'the prototype of the values names none',
    find: `Object.hasOwn(values, parameter) ? values[parameter] : undefined`,
    replace: `values[parameter]`,
  },
  {
    ...publication,
    guard: 'an event type is one of the definition, not of its prototype',
    find: `!Object.hasOwn(events as object, type)`,
    replace: `!(type in (events as object))`,
    tests: input('another event type'),
  },
  {
    ...publication,
    guard: 'a schema that reports issues refuses the data',
    find: `if (issues === undefined) {`,
    replace: `if ('value' in found) {`,
    tests: input('a schema that throws'),
  },
  {
    ...publication,
    guard: 'a schema without a result refuses the data',
    find: `if ('value' in found) return`,
    replace: `if (found) return`,
    tests: input('a schema that throws'),
  },
  {
    ...publication,
    guard: 'a schema has 5 s',
    find: `return Promise.race([settled, late])`,
    replace: `return settled`,
    tests: input('a schema that does not settle'),
  },
  {
    ...publication,
    guard: 'options of a typed publication name no channel and no type',
    find: `  checkKeys('SSE_INPUT', 'options', options, OPTIONS);\n`,
    replace: ``,
    tests: input('an unknown option'),
  },
  {
    ...publication,
    guard: 'what the schema makes of the data is published',
    find: `accept(valueOf(result, about))`,
    replace: `accept((valueOf(result, about), data))`,
    tests: ['test/typed-channels.spec.ts › in memory publish what a schema of zod'],
  },
  {
    ...turns,
    guard: 'an event waits for those before it',
    find: `Promise.allSettled([checked, before])`,
    replace: `Promise.allSettled([checked])`,
    tests: ['test/typed-channels.spec.ts › in memory keep the order'],
  },
  {
    ...turns,
    guard: 'so many events wait for their schemas',
    find: `queue.waiting >= MAX_WAITING`,
    replace: `queue.waiting < 0`,
    tests: input('an event behind 10,000'),
  },
  {
    ...turns,
    guard: 'an event that has been handed on waits no more',
    find: `      queue.waiting -= count;\n`,
    replace: '',
    tests: input('an event behind 10,000'),
  },
  {
    ...events,
    guard: 'a typed channel is no option of untyped data',
    find: `if (options.channel instanceof SseTypedChannel) {`,
    replace: `if (options.channel === null) {`,
    tests: input('a typed channel as the option'),
  },
  {
    file: 'src/routes/sse-channel.interceptor.ts',
    guard: 'parameters are those that the pipes make',
    find: `{ ...params, ...parameters }`,
    replace: `{ ...params }`,
    tests: routes('have the parameters'),
  },
  {
    file: 'src/routes/sse-channel.interceptor.ts',
    guard: 'an authorizer gets the parameters of typed channels',
    find: `return { ...checkTarget({ channel: typed }), typed };`,
    replace: `return checkTarget({ channel: typed });`,
    tests: routes('give an authorizer'),
  },
  {
    file: 'src/routes/channel.guard.ts',
    guard: 'an authorizer of a guard gets the parameters of typed channels',
    find: `const typed = isTyped ?`,
    replace: `const typed = !isTyped ?`,
    tests: routes('give an authorizer'),
  },
  {
    file: 'src/routes/sse-tickets.service.ts',
    guard: 'a ticket is for the name of a typed channel',
    find: `typed?.[n]?.name ?? (channel as string)`,
    replace: `channel as string`,
    tests: routes('are bounded by a rule'),
  },
  {
    file: 'src/routes/piped-parameters.ts',
    guard: 'the metadata of a handler is kept',
    find: `    Reflect.defineMetadata(name, Reflect.getMetadata(name, original), handler);\n`,
    replace: ``,
    tests: routes('leave the metadata'),
  },
  {
    ...turns,
    guard: 'characters that wait for schemas are bounded',
    find: `this.#size + size > MAX_WAITING_SIZE`,
    replace: `this.#size + size < 0`,
    tests: input('an event behind 10,000'),
  },
  {
    ...turns,
    guard: 'a schema that refuses an event which may not wait is no unhandled rejection',
    find: `      if (!isChecked) checked.catch(() => undefined);\n`,
    replace: ``,
    tests: ['test/typed-channels.spec.ts › A surplus event'],
  },
  {
    file: 'src/sse.module.ts',
    guard: 'publications that wait for a schema are handed on before the broker closes',
    find: `    await this.publications.settled();\n`,
    replace: ``,
    tests: ['test/typed-channels.spec.ts › that wait for a schema are published'],
  },
  {
    file: 'src/routes/requested-channels.ts',
    guard: 'a channel is of one definition of its route',
    find: `if (twice !== undefined) throw`,
    replace: `if (twice === null) throw`,
    tests: routes('are refused where two definitions'),
  },
  {
    file: 'src/routes/granted-channels.ts',
    guard: 'a route delivers what its guard has granted',
    find: `if (!channels.every(`,
    replace: `if (channels.length === 0 && !channels.every(`,
    tests: routes('are refused where a guard'),
  },
  {
    file: 'src/routes/piped-parameters.ts',
    guard: 'a parameter has one @Param()',
    find: `if (params.length > 1) {`,
    replace: `if (params.length > 9) {`,
    tests: routes('are refused where a handler'),
  },
  {
    file: 'src/routes/sse-channel.interceptor.ts',
    guard: 'a handler that was not called has no parameters',
    find: `    if (!parameters)`,
    replace: `    if (parameters === null)`,
    tests: routes('are refused where the handler'),
  },
];
