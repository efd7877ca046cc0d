/** Guards of who may read. */
const ACCESS = 'test/access.spec.ts';

const authorization = {
  file: 'src/routes/authorization.ts',
  tests: [ACCESS, 'test/access.authorizer.spec.ts'],
};
const failing = { file: 'src/routes/authorization.ts', tests: ['test/revalidation.spec.ts'] };
const rules = {
  file: 'src/routes/channel-pattern.ts',
  tests: ['rules', 'rules.decisions', 'rules.definition'].map((name) => `test/${name}.spec.ts`),
};
const interceptor = { file: 'src/routes/sse-channel.interceptor.ts', tests: [ACCESS] };

export const access = [
  {
    ...authorization,
    guard: 'what a rule does not allow is refused',
    find: `      if (!channels.every(check)) throw new ForbiddenException();\n`,
    replace: '',
  },
  {
    ...authorization,
    guard: 'what an authorizer does not allow is refused',
    find: `    if (access === false) throw new ForbiddenException();\n    return access;`,
    replace: `    return access || {};`,
  },
  {
    ...failing,
    guard: 'an authorizer that fails lets nobody in',
    find: `      throw new UndecidedError('The authorizer failed', { cause: error });`,
    replace: `      return {};`,
  },
  {
    ...rules,
    file: 'src/routes/authorization.ts',
    guard: 'an authorizer that names nothing refuses',
    find: `  if (given.length === 0) throw noAnswer(answer);\n`,
    replace: '',
  },
  {
    ...rules,
    file: 'src/routes/authorization.ts',
    guard: 'only true and a plain object are a yes',
    find: ` || !isPlain(answer)) throw`,
    replace: `) throw`,
  },
  {
    ...rules,
    file: 'src/routes/authorization.ts',
    guard: 'an answer whose user was not found is none',
    find: `  if (missing) throw inputError(missing[0], 'left out or given', undefined);\n`,
    replace: '',
  },
  {
    ...rules,
    file: 'src/routes/requested-channels.ts',
    guard: 'a query gives texts alone',
    find: `list.every((value) => typeof value === 'string')`,
    replace: `list.length > 0`,
  },
  {
    ...rules,
    file: 'src/routes/requested-channels.ts',
    guard: 'a target that a handler takes from the query names no user',
    find: `  if (Object.values(query).some(isIn)) throw`,
    replace: `  if (Object.values({}).some(isIn)) throw`,
  },
  {
    ...failing,
    guard: 'an authorizer may say no with a status of its own',
    find: `      if (error instanceof HttpException || error instanceof UndecidedError) throw error;\n`,
    replace: `      if (error instanceof UndecidedError) throw error;\n`,
  },
  {
    ...failing,
    guard: 'a question that waits for its turn has no more time than others',
    find: `mergeAccess((await Promise.race([Promise.all(answers), over])).flat())`,
    replace: `mergeAccess((await Promise.all(answers)).flat())`,
  },
  {
    ...failing,
    guard: 'a question that is decided makes room for others',
    find: `      giveUp(new UndecidedError('It is decided'));\n`,
    replace: '',
  },
  {
    ...failing,
    file: 'src/routes/channel.guard.ts',
    guard: 'a request that could not be decided about is answered once',
    find: `        return new Promise(() => {});`,
    replace: `        return true;`,
  },
  {
    ...rules,
    guard: 'an expression is for the whole name',
    find: '`^(?:${source})$`',
    replace: 'source',
  },
  {
    ...rules,
    tests: [ACCESS],
    guard: 'an expression does not remember where it was',
    find: `flags.replaceAll(/[gmy]/g, '')`,
    replace: `flags`,
  },
  {
    ...rules,
    guard: 'an expression that could take long is refused',
    find: ` || !(stepsOf(source) <= MAX_STEPS)`,
    replace: '',
  },
  {
    ...rules,
    guard: 'a parameter ends at a colon',
    find: ` || /[:/]/.test(name.slice(at, end))`,
    replace: '',
  },
  {
    ...rules,
    guard: 'a pattern is for the whole name',
    find: `name.length - text.length : name.indexOf(text, at + 1)`,
    replace: `name.lastIndexOf(text) : name.indexOf(text, at + 1)`,
  },
  {
    ...interceptor,
    guard: 'a route’s rule holds for what its handler returns',
    find: `const { access, renew } = await this.authorization.grant(question, target.channels);`,
    replace: `const { access, renew } = returned\n      ? { access: {}, renew: undefined }\n      : await this.authorization.grant(question, target.channels);`,
  },
];
