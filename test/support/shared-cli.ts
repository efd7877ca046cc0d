import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterAll } from '@jest/globals';
import { eventually } from './until.js';

export interface CliResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * One process that runs many command lines in turn. `Cli` starts a process for each, which takes a second of CPU but also
 * tests signals, and that the program exits by itself.
 */
export class SharedCli {
  #process: ChildProcess | undefined;
  #last: Promise<unknown> = Promise.resolve();

  constructor(private readonly program = 'dist/integrations/cli/main.js') {
    afterAll(async () => {
      if (!this.#process) return;
      const exited = once(this.#process, 'exit');
      this.#process.kill('SIGKILL');
      await exited;
    });
  }

  run(args: readonly string[], input: string | Buffer, env: Record<string, string>): Promise<CliResult> {
    const result = this.#last.then(() => this.#run(args, Buffer.from(input), env));
    this.#last = result.catch(() => undefined);
    return result;
  }

  async #run(args: readonly string[], input: Buffer, env: Record<string, string>): Promise<CliResult> {
    this.#process ??= spawn('node', ['test/support/shared-cli-process.js', this.program], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    const answer = once(this.#process, 'message') as Promise<[CliResult]>;
    this.#process.send({ args, input: input.toString('base64'), env });
    const [result] = await eventually(`The end of ${args.join(' ')}`, answer);
    return result;
  }
}
