import { Cli } from './cli.js';
import { until } from './until.js';

/** A process without HTTP that produces a stream of numbers until it is stopped. It prints what happens to the stream. */
const PROGRAM = `
  import { setTimeout as sleep } from 'node:timers/promises';
  import { NestFactory } from '@nestjs/core';
  import { SseModule, SseStreams } from 'nestjs-sse-channels';
  const { options, id, stream, count } = JSON.parse(process.env.OWNER);
  const app = await NestFactory.createApplicationContext(SseModule.forRoot(options), { logger: false });
  app.enableShutdownHooks();
  const produce = async (out, signal) => {
    signal.addEventListener('abort', () => console.log('aborted'));
    for (let n = 0; n < count && !signal.aborted; n++) {
      out.write(n);
      await sleep(10, undefined, { signal });
    }
  };
  const { done } = await app.get(SseStreams).start(id, produce, stream);
  console.log('started');
  console.log(JSON.stringify(await done));
`;

interface Owner {
  readonly options: object;
  readonly id: string;
  readonly stream?: object;
  /** How many numbers it produces. */
  readonly count?: number;
}

/** Starts the process, and resolves when the stream is live. */
export async function startOwner({ options, id, stream = {}, count = 1_000_000 }: Owner): Promise<Cli> {
  const env = { OWNER: JSON.stringify({ options, id, stream, count }) };
  const cli = new Cli('', env, ['node', '--input-type=module', '--eval', PROGRAM]);
  await until(() => cli.lines.includes('started') || cli.stderr);
  return cli;
}
