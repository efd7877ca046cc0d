import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { afterAll, afterEach } from '@jest/globals';
import { until, within } from './until.js';

/** Browsers open connections ahead. They keep an unused one for a minute, and Node waits for its end when the server closes. */
const UNUSED_MS = 120_000;

const running = new Set<Sample>();
const shared = new Set<Sample>();

/** The sample application as a separate process. */
export class Sample {
  output = '';
  url = '';

  private constructor(readonly process: ChildProcess) {
    process.stdout!.on('data', (chunk: Buffer) => (this.output += chunk.toString()));
    process.stderr!.on('data', (chunk: Buffer) => (this.output += chunk.toString()));
    running.add(this);
  }

  /** Starts the build of the tests, or the command of the README. Resolves once it listens. */
  static async start(
    env: Record<string, string> = {},
    command = 'node sample/dist/main.js',
  ): Promise<Sample> {
    const [program, ...args] = command.split(' ');
    const options = { env: { ...process.env, PORT: '0', NO_COLOR: '1', ...env }, detached: true };
    const sample = new Sample(spawn(program!, args, options));
    let [ticks, readAt] = [0, -Infinity];
    const { line } = await until(
      () => {
        // A build has no output. On a busy machine, reading of all processes would take the time that it needs.
        if (performance.now() - readAt > 1_000)
          [ticks, readAt] = [ticksOf(sample.process.pid!), performance.now()];
        return { line: /Listening on (http:\S+),/.exec(sample.output) ?? sample.process.exitCode, ticks };
      },
      (seen) => seen.line !== null,
    );
    if (typeof line === 'number') throw new Error(`The sample ended with code ${line}:\n${sample.output}`);
    sample.url = line![1]!;
    return sample;
  }

  /** Starts a sample that all tests of a file use. It is killed after the last one. */
  static async startShared(env: Record<string, string> = {}): Promise<Sample> {
    const sample = await Sample.start(env);
    running.delete(sample);
    shared.add(sample);
    return sample;
  }

  async publish(body: object): Promise<Response> {
    const headers = { 'content-type': 'application/json' };
    return fetch(`${this.url}/publish`, { method: 'POST', headers, body: JSON.stringify(body) });
  }

  /** Sends the signal to the started process, and returns its exit status. */
  async signal(signal: NodeJS.Signals): Promise<{ code: number | null; signal: string | null }> {
    const exited = once(this.process, 'exit') as Promise<[number | null, string | null]>;
    this.process.kill(signal);
    const [code, by] = await within(UNUSED_MS, `The end of the sample after ${signal}`, exited);
    running.delete(this);
    return { code, signal: by };
  }

  /** Also kills all processes that it has started. */
  async kill(): Promise<void> {
    running.delete(this);
    const { exitCode, signalCode } = this.process;
    const exited = exitCode === null && signalCode === null && once(this.process, 'exit');
    try {
      process.kill(-this.process.pid!, 'SIGKILL');
    } catch {
      // It has ended.
    }
    await exited;
  }
}

/** The CPU time of the processes of a group, in clock ticks. */
function ticksOf(group: number): number {
  let ticks = 0;
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
      // The fields after the name, which may contain spaces: state, parent, group, …, utime, stime.
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      if (Number(fields[2]) === group) ticks += Number(fields[11]) + Number(fields[12]);
    } catch {
      // It has ended.
    }
  }
  return ticks;
}

const kill = (samples: Set<Sample>) => Promise.all([...samples].map((sample) => sample.kill()));

afterEach(() => kill(running));
afterAll(() => kill(shared));
