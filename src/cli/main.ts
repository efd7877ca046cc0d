#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { CommandFactory } from 'nest-commander';
import { exitFrom, stderrLogger, writeError } from './redis.command.js';
import { SseCliModule } from './sse.command.js';

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  version: string;
};

await CommandFactory.run(SseCliModule, {
  logger: stderrLogger,
  version,
  errorHandler: exitFrom,
  serviceErrorHandler: (error) => {
    writeError(error);
    process.exitCode = 1;
  },
});
