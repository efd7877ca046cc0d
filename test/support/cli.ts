import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterEach } from '@jest/globals';
import { eventually } from './until.js';

/** Runs the given program on a pseudo-terminal. */
export const ON_A_TERMINAL = ['python3', '-c', 'import pty, sys; sys.exit(pty.spawn(sys.argv[1:]) >> 8)'];
export const PROGRAM = ['node', 'dist/integrations/cli/main.js'];

const running = new Set<Cli>();

/** The command line program as a separate process. */
export class Cli {
  stdout = '';
  stderr = '';
  readonly process: ChildProcess;
  readonly #closed: Promise<unknown>;
  readonly #exited: Promise<unknown>;

  constructor(args: string, env: Record<string, string> = {}, program = PROGRAM) {
    const [command, ...first] = program;
    this.process = spawn(command!, [...first, ...args.split(' ').filter(Boolean)], {
      env: { ...process.env, ...env },
    });
    this.process.stdout!.on('data', (chunk: Buffer) => (this.stdout += chunk.toString()));
    this.process.stderr!.on('data', (chunk: Buffer) => (this.stderr += chunk.toString()));
    this.process.stdin!.on('error', () => undefined);
    this.#closed = once(this.process, 'close');
    this.#exited = once(this.process, 'exit');
    running.add(this);
  }

  get lines(): string[] {
    return this.stdout.split('\n').slice(0, -1);
  }

  /** Resolves to the exit code. */
  async end(): Promise<number | null> {
    await eventually(`The end of the program (stderr: ${this.stderr})`, this.#closed);
    running.delete(this);
    return this.process.exitCode;
  }

  async kill(): Promise<void> {
    this.process.kill('SIGKILL');
    // Its output may never close if the test does not read it.
    await this.#exited;
  }
}

/** Runs the program to its end, with an input. */
export async function runCli(args: string, input = '', env: Record<string, string> = {}) {
  const cli = new Cli(args, env);
  cli.process.stdin!.end(input);
  const code = await cli.end();
  return { code, stdout: cli.stdout, stderr: cli.stderr };
}

afterEach(async () => {
  await Promise.all([...running].map((cli) => cli.kill()));
  running.clear();
});
