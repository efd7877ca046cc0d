#!/usr/bin/env node

/** nest-commander is an optional peer: only the command line needs it. */
const isMissing = (error: NodeJS.ErrnoException) =>
  error.code === 'ERR_MODULE_NOT_FOUND' && error.message.includes("'nest-commander'");

await import('./program.js').then(
  ({ run }) => run(),
  (error: NodeJS.ErrnoException) => {
    if (!isMissing(error)) throw error;
    process.stderr.write(
      'The command line needs nest-commander: npm install nest-commander (without a project: npx --package nestjs-sse-channels --package nest-commander nestjs-sse-channels …)\n',
    );
    process.exitCode = 2;
  },
);
