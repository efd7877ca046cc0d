import { setTimeout as sleep } from 'node:timers/promises';
import { Option, SubCommand } from 'nest-commander';
import type { SseStreamEnd } from '../../broker/streams.js';
import { show, SseError } from '../../common/sse.errors.js';
import { checkType } from '../../event/event.js';
import type { SseStreamWriter } from '../../streams/sse-stream-writer.js';
import { SseStreams } from '../../streams/sse-streams.service.js';
import type { SseStreamOptions } from '../../streams/stream-options.js';
import { ChildProgram, exitOf, type ProgramExit, StartError } from './child-program.js';
import { Interrupts } from './interrupts.js';
import { type Get, RedisCommand, type RedisCommandOptions, wholeNumber } from './redis.command.js';
import { type PipeOptions, pipeLines } from './stream-lines.js';
import { writeError } from './terminal.js';

/** How long the rest of the output, and then the end of the stream, may take after the program was stopped, in ms. */
const EXIT_MS = 2_000;

interface Options extends RedisCommandOptions, PipeOptions {
  replace?: boolean;
  leaseMs?: string;
  keepMs?: string;
  maxMs?: string;
  maxBytes?: string;
}

/** `sse stream run`: runs a program, and produces a stream with the lines of its stdout. */
@SubCommand({
  name: 'run',
  arguments: '<id> <command> [args...]',
  argsDescription: {
    id: 'id of the stream',
    command: 'program to run, after --',
    args: 'its arguments',
  },
  description: 'Run a program and produce a stream with the lines of its stdout',
})
export class StreamRunCommand extends RedisCommand<Options> {
  @Option({ flags: '-t, --type <type>', description: 'type of the events (default: none, for onmessage)' })
  parseType(type: string): string {
    return type;
  }

  @Option({ flags: '--json', description: 'each line is a JSON document (default: a string)' })
  parseJson(): boolean {
    return true;
  }

  @Option({ flags: '--tee', description: 'print the output of the program, too' })
  parseTee(): boolean {
    return true;
  }

  @Option({ flags: '--replace', description: 'end a live stream with this id first' })
  parseReplace(): boolean {
    return true;
  }

  @Option({ flags: '--lease-ms <ms>', description: 'when readers learn that this process was killed' })
  parseLeaseMs(ms: string): string {
    return ms;
  }

  @Option({ flags: '--keep-ms <ms>', description: 'how long the stream can be read after its end' })
  parseKeepMs(ms: string): string {
    return ms;
  }

  @Option({ flags: '--max-ms <ms>', description: 'maximum duration; then the program is stopped' })
  parseMaxMs(ms: string): string {
    return ms;
  }

  @Option({ flags: '--max-bytes <bytes>', description: 'maximum size of all events' })
  parseMaxBytes(bytes: string): string {
    return bytes;
  }

  protected async execute(get: Get, options: Options, [id, command, ...args]: string[]): Promise<void> {
    if (options.type !== undefined) checkType(options.type);
    // Before the stream starts: unheard, a signal would end this process and leave the stream to its lease.
    const interrupts = new Interrupts();
    try {
      const out = await open(get(SseStreams), id!, streamOptions(options));
      const start = () => ChildProgram.start(command!, args);
      process.exitCode = await new ProgramStream(out, interrupts).run(start, options);
    } finally {
      interrupts.close();
    }
  }
}

function streamOptions({ replace, leaseMs, keepMs, maxMs, maxBytes }: Options): SseStreamOptions {
  return {
    replace,
    ...(leaseMs !== undefined && { leaseMs: wholeNumber('--lease-ms', leaseMs) }),
    ...(keepMs !== undefined && { keepMs: wholeNumber('--keep-ms', keepMs) }),
    ...(maxMs !== undefined && { maxMs: wholeNumber('--max-ms', maxMs) }),
    ...(maxBytes !== undefined && { maxBytes: wholeNumber('--max-bytes', maxBytes) }),
  };
}

async function open(streams: SseStreams, id: string, options: SseStreamOptions): Promise<SseStreamWriter> {
  try {
    return await streams.open(id, options);
  } catch (error) {
    const { code } = error as SseError;
    if (code !== 'SSE_STREAM_LIVE') throw error;
    throw new SseError(
      code,
      `Stream ${show(id)} is live: attach to it, stop it, or replace it with --replace`,
    );
  }
}

/** A program and the stream of its output. The first one to end ends the other. */
class ProgramStream {
  constructor(
    private readonly out: SseStreamWriter,
    private readonly interrupts: Interrupts,
  ) {}

  /** @returns the exit code of this process */
  async run(start: () => Promise<ChildProgram>, options: PipeOptions): Promise<number> {
    const { interrupts } = this;
    if (interrupts.signal) return this.#end(exitOf(null, interrupts.signal));
    try {
      return await this.#end(await this.#pipe(await start(), options));
    } catch (error) {
      if (!(error instanceof StartError)) throw error;
      writeError(error);
      return this.#end(error.exit);
    }
  }

  /** @throws what is wrong with a line, when the stream has ended */
  async #pipe(program: ChildProgram, options: PipeOptions): Promise<ProgramExit> {
    const { out, interrupts } = this;
    const { signal } = out;
    const isStopped = new Promise<void>((resolve) => {
      const stop = (name: NodeJS.Signals) => program.stop(name);
      const onAbort = () => {
        stop('SIGTERM');
        resolve();
      };
      interrupts.onSignal = stop;
      void interrupts.first.then(resolve);
      if (interrupts.signal) stop(interrupts.signal);
      if (signal.aborted) onAbort();
      else signal.addEventListener('abort', onAbort);
    });
    // Redis may hang, and a process that the program has started may hold stdout open.
    const isLate = isStopped.then(() => program.exit).then(() => sleep(EXIT_MS, undefined, { ref: false }));
    try {
      await Promise.race([pipeLines(program.stdout, out, options), isLate]);
    } catch (error) {
      program.stop('SIGTERM');
      await this.#end({ code: 2, reason: 'invalid output' }).catch(writeError);
      await program.exit;
      throw error;
    } finally {
      program.stdout.destroy();
    }
    return program.exit;
  }

  /** @returns the exit code of this process: the program's, but never 0 for a stream that is not done */
  async #end({ code, reason = this.#interruption }: ProgramExit): Promise<number> {
    const { out, interrupts } = this;
    const ended = reason === undefined ? out.end() : out.fail(reason);
    const late = interrupts.first.then(() => sleep(EXIT_MS, undefined, { ref: false }));
    const end = await Promise.race([ended, late]);
    if (!end) throw new SseError('SSE_UNAVAILABLE', 'Redis has not confirmed the end of the stream');
    if (end.reason !== reason) writeError(`Stream ${show(out.id)} is over: ${textOf(end)}`);
    return code || (end.status === 'done' ? 0 : 1);
  }

  get #interruption(): string | undefined {
    const { signal } = this.interrupts;
    return signal && `signal ${signal}`;
  }
}

const textOf = ({ status, reason }: SseStreamEnd): string =>
  reason === undefined ? status : `${status}, ${reason}`;
