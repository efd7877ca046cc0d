/** Guards of access to channels. */
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
    guard: 'a channel that the rule does not allow is refused',
    find: `      if (!channels.every(check)) throw new ForbiddenException();\n`,
    replace: '',
  },
  {
    ...authorization,
    guard: 'a channel that the authorizer does not allow is refused',
    find: `    if (access === false) throw new ForbiddenException();\n    return access;`,
    replace: `    return access || {};`,
  },
  {
    ...failing,
    guard: 'a failing authorizer grants no access',
    find: `      throw new UndecidedError('The authorizer failed', { cause: error });`,
    replace: `      return {};`,
  },
  {
    ...rules,
    file: 'src/routes/authorization.ts',
    guard: 'an empty decision is refused',
    find: `  if (given.length === 0) throw noAnswer(answer);\n`,
    replace: '',
  },
  {
    ...rules,
    file: 'src/routes/authorization.ts',
    guard: 'only true and a plain object grant access',
    find: ` || !isPlain(answer)) throw`,
    replace: `) throw`,
  },
  {
    ...rules,
    file: 'src/routes/authorization.ts',
    guard: 'a decision with an undefined user is invalid',
    find: `  if (missing) throw inputError(missing[0], 'left out or given', undefined);\n`,
    replace: '',
  },
  {
    ...rules,
    file: 'src/routes/requested-channels.ts',
    guard: 'a query provides only texts',
    find: `list.every((value) => typeof value === 'string')`,
    replace: `list.length > 0`,
  },
  {
    ...rules,
    file: 'src/routes/requested-channels.ts',
    guard: 'a target from the query cannot set a user',
    find: `  if (Object.values(query).some(isIn)) throw`,
    replace: `  if (Object.values({}).some(isIn)) throw`,
  },
  {
    ...failing,
    guard: 'an authorizer may refuse with its own status',
    find: `      if (error instanceof HttpException || error instanceof UndecidedError) throw error;\n`,
    replace: `      if (error instanceof UndecidedError) throw error;\n`,
  },
  {
    ...failing,
    guard: 'a queued authorization has the same time limit',
    find: `mergeAccess((await Promise.race([Promise.all(answers), over])).flat())`,
    replace: `mergeAccess((await Promise.all(answers)).flat())`,
  },
  {
    ...failing,
    guard: 'a decided authorization frees its slot',
    find: `      giveUp(new UndecidedError('It is decided'));\n`,
    replace: '',
  },
  {
    ...failing,
    file: 'src/routes/channel.guard.ts',
    guard: 'a request without a decision gets one response',
    find: `        return new Promise(() => {});`,
    replace: `        return true;`,
  },
  {
    ...rules,
    guard: 'a regular expression matches the whole name',
    find: '`^(?:${source})$`',
    replace: 'source',
  },
  {
    ...rules,
    tests: [ACCESS],
    guard: 'a regular expression keeps no lastIndex',
    find: `flags.replaceAll(/[gmy]/g, '')`,
    replace: `flags`,
  },
  {
    ...rules,
    guard: 'a slow regular expression is refused',
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
    guard: 'a pattern matches the whole name',
    find: `name.length - text.length : name.indexOf(text, at + 1)`,
    replace: `name.lastIndexOf(text) : name.indexOf(text, at + 1)`,
  },
  {
    ...interceptor,
    guard: 'the rule applies to channels that the handler returns',
    find: `const { access, renew } = await this.authorization.grant(question, target.channels);`,
    replace: `const { access, renew } = returned\n      ? { access: {}, renew: undefined }\n      : await this.authorization.grant(question, target.channels);`,
  },
];
