import { CommandFactory } from 'nest-commander';
import { exitFrom, stderrLogger } from './redis.command.js';
import { SseCliModule } from './sse.command.js';
import { writeError } from './terminal.js';
import { VERSION } from './version.js';

/** Runs the command that `process.argv` names. */
export async function run(): Promise<void> {
  await CommandFactory.run(SseCliModule, {
    logger: stderrLogger,
    version: VERSION,
    errorHandler: exitFrom,
    serviceErrorHandler: (error) => {
      writeError(error);
      process.exitCode = 1;
    },
  });
}
