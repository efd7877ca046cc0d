import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { constants } from 'node:os';
import type { Readable } from 'node:stream';

/** How long a program may take to exit after a signal, in ms. */
const KILL_MS = 5_000;
/** What shells exit with for a program that they cannot start, or do not find. */
const [NOT_STARTED, NOT_FOUND] = [126, 127] as const;

/** The end of a program. */
export interface ProgramExit {
  /** As shells have it: 128 + n for a signal. */
  readonly code: number;
  /** Absent for the code 0. */
  readonly reason?: string;
}

/** A program could not be started. */
export class StartError extends Error {
  readonly exit: ProgramExit;

  constructor(command: string, { code, message }: NodeJS.ErrnoException) {
    super(`Cannot start ${command}: ${code ?? message}`);
    const status = code === 'ENOENT' ? NOT_FOUND : NOT_STARTED;
    this.exit = { code: status, reason: `exit ${status}` };
  }
}

/** A program that runs in a process of its own. This process reads its stdout; it shares stdin and stderr. */
export class ChildProgram {
  readonly exit: Promise<ProgramExit>;
  #kill: NodeJS.Timeout | undefined;

  private constructor(private readonly process: ChildProcessByStdio<null, Readable, null>) {
    // A program of another user takes no signals.
    process.on('error', () => undefined);
    this.exit = new Promise((resolve) =>
      process.once('exit', (code, signal) => {
        clearTimeout(this.#kill);
        resolve(exitOf(code, signal));
      }),
    );
  }

  /** @throws StartError */
  static async start(command: string, args: readonly string[]): Promise<ChildProgram> {
    try {
      const process = spawn(command, args, { stdio: ['inherit', 'pipe', 'inherit'] });
      const program = new ChildProgram(process);
      await once(process, 'spawn');
      return program;
    } catch (error) {
      throw new StartError(command, error as Error);
    }
  }

  get stdout(): Readable {
    return this.process.stdout;
  }

  /** Sends a signal, and SIGKILL if the program has not exited some seconds later. */
  stop(signal: NodeJS.Signals): void {
    if (!this.process.kill(signal)) return;
    this.#kill ??= setTimeout(() => this.process.kill('SIGKILL'), KILL_MS);
  }
}

/** @param code null if a signal has ended the program */
export function exitOf(code: number | null, signal: NodeJS.Signals | null): ProgramExit {
  if (signal) return { code: 128 + constants.signals[signal], reason: `signal ${signal}` };
  return code ? { code, reason: `exit ${code}` } : { code: 0 };
}
