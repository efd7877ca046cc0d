import type { Readable } from 'node:stream';
import type { SseError } from '../../common/sse.errors.js';
import type { SseStreamWriter } from '../../streams/sse-stream-writer.js';
import { jsonOf, linesOf } from './input.js';
import { UsageError } from './redis.command.js';
import { writeError } from './terminal.js';

/** How lines become events. */
export interface PipeOptions {
  type?: string;
  /** Whether each line is a JSON document. */
  json?: boolean;
  /** Whether stdout gets the lines, too. */
  tee?: boolean;
}

/**
 * Writes each line as an event, as fast as Redis takes them. When the stream has ended, the rest is read and dropped.
 *
 * @throws UsageError or SseError for a line that cannot be an event
 */
export async function pipeLines(source: Readable, out: SseStreamWriter, options: PipeOptions): Promise<void> {
  const { type, json, tee } = options;
  const writeOptions = type === undefined ? {} : { type };
  for await (const [text, number] of linesOf(decoded(tee ? echoed(source) : source, json))) {
    const line = text.replace(/\r$/, '');
    if (out.signal.aborted || (json && line.trim() === '')) continue;
    try {
      out.write(json ? jsonOf(line, `line ${number}`) : line, writeOptions);
    } catch (error) {
      throw error instanceof UsageError ? error : at(number, error as SseError);
    }
    await out.ready;
  }
}

function at(number: number, error: SseError): SseError {
  return Object.assign(error, { message: `Line ${number}: ${error.message}` });
}

/** Bytes that are no UTF-8 are replaced in texts, as terminals do it; in JSON they are an error, as in other JSON. */
async function* decoded(chunks: AsyncIterable<Uint8Array>, json = false): AsyncGenerator<string> {
  const decoder = new TextDecoder('utf-8', { fatal: json });
  try {
    for await (const chunk of chunks) yield decoder.decode(chunk, { stream: true });
    yield decoder.decode();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_ENCODING_INVALID_ENCODED_DATA') throw error;
    throw new UsageError('Expected the output of the program to be UTF-8');
  }
}

/** Writes the chunks to stdout, too, as long as it takes them. The program goes on without. */
async function* echoed(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let isOpen = true;
  for await (const chunk of chunks) {
    if (isOpen) isOpen = await echo(chunk);
    yield chunk;
  }
}

/** @returns whether stdout has taken it */
const echo = (chunk: Uint8Array): Promise<boolean> =>
  new Promise((resolve) =>
    process.stdout.write(chunk, (error) => {
      const { code, message } = (error ?? {}) as NodeJS.ErrnoException;
      if (error && code !== 'EPIPE') writeError(`Cannot write to stdout: ${message}`);
      resolve(!error);
    }),
  );
