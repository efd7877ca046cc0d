const ALL_SPEC = 'test/publish-all.spec.ts';
const TYPED_SPEC = 'test/publish-all.typed.spec.ts';
const INPUT_SPEC = 'test/input.lists.spec.ts';
const outage = (name) => [`test/publish-all.outage.spec.ts › ${name}`];
const refusal = (name) => [`test/publish-all.refusals.spec.ts › ${name}`];

const publications = { file: 'src/publications.ts' };
const list = { file: 'src/typed-channels/event-list.ts' };

/** Guards of `publishAll()` before the broker, and of its outcomes. */
export const listChecks = [
  {
    ...publications,
    guard: 'an event without an answer may be published',
    find: `result.mayBePublished ? 'unknown' : 'rejected'`,
    replace: `'rejected'`,
    tests: outage('give events that may be published as unknown'),
  },
  {
    ...publications,
    guard: 'a list of which an event is published is not to be repeated',
    find: `outcomes.some(({ status }) => status !== 'rejected')`,
    replace: `outcomes.some(({ status }) => status === 'unknown')`,
    tests: [INPUT_SPEC],
  },
  {
    ...publications,
    guard: 'the known data of a list that waits is counted',
    find: `sum + sizes[place]!`,
    replace: `sum`,
    tests: [TYPED_SPEC],
  },
  {
    ...publications,
    guard: 'a list is unavailable if any of its channels is',
    find: `failed.find(isUnavailable) ?? failed[0]!`,
    replace: `failed[0]!`,
    tests: refusal('is unavailable if any channel is'),
  },
  {
    ...publications,
    guard: 'an error of any kind is no publication',
    find: `typeof outcome === 'string'`,
    replace: `!(outcome instanceof SseError)`,
    tests: [TYPED_SPEC],
  },
  {
    ...publications,
    guard: 'a list that waits for a schema takes its turn',
    file: 'src/typed-channels/turns.ts',
    find: `if (isChecked && !waiting) return`,
    replace: `if (isChecked) return`,
    tests: [TYPED_SPEC],
  },
  {
    ...list,
    guard: 'a list has a bounded number of events',
    find: `  if (length > MAX_EVENTS) {`,
    replace: `  if (length < 0) {`,
    tests: [INPUT_SPEC],
  },
  {
    ...list,
    guard: 'a list has a bounded size',
    find: `    if (size <= MAX_SIZE) return publication;`,
    replace: `    if (size >= 0) return publication;`,
    tests: [INPUT_SPEC],
  },
  {
    ...list,
    guard: 'a list has a bounded size, with what schemas return later',
    find: `publication.then(count)`,
    replace: `publication`,
    tests: [TYPED_SPEC],
  },
  {
    ...list,
    guard: 'an unknown key of an event is refused',
    find: `  checkKeys('SSE_INPUT', path, event as object, KEYS);\n`,
    replace: '',
    tests: [INPUT_SPEC],
  },
  {
    ...list,
    guard: 'the first event that is refused counts',
    find: `await Promise.allSettled(publications.map(async (publication) => publication));`,
    replace: `(await Promise.all(publications)).map((value) => ({ status: 'fulfilled', value }) as const);`,
    tests: [TYPED_SPEC],
  },
  {
    ...list,
    guard: 'a schema that refuses an event of a refused list is no unhandled rejection',
    find: `    allOf(publications).catch(() => undefined);\n`,
    replace: '',
    tests: [TYPED_SPEC],
  },
  {
    file: 'src/broker/memory/memory.broker.ts',
    guard: 'nothing of a list is published where one event is refused',
    find: `    try {\n      this.#check(channel, publications);\n    } catch (error) {\n      return publications.map(() => error as SseError);\n    }\n`,
    replace: '',
    tests: [`${ALL_SPEC} › in memory says of each event`],
  },
  {
    file: 'src/integrations/testing/sse-testing.service.ts',
    guard: 'publications are recorded in call order',
    find: `this.#places.findLastIndex((each) => each <= place) + 1`,
    replace: `this.#places.length`,
    tests: ['test/testing.service.spec.ts › records lists in call order'],
  },
  {
    file: 'src/integrations/testing/sse-testing.service.ts',
    guard: 'publications are recorded as they were in the call',
    find: `Array.from(events, fieldsOfEvent)`,
    replace: `[...events]`,
    tests: ['test/testing.service.spec.ts › records lists in call order'],
  },
];
