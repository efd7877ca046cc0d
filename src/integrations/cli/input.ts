import { createReadStream } from 'node:fs';
import { addAbortSignal } from 'node:stream';
import { JsonText } from '../../event/data.js';
import { UsageError } from './redis.command.js';
import { writeError } from './terminal.js';

/** A file, or stdin, which `-` stands for, too. Not being readable is the user's to mend: a usage error. */
export async function* readInput(file = '-', signal?: AbortSignal): AsyncGenerator<string> {
  const isStdin = file === '-';
  if (isStdin && process.stdin.isTTY) writeError('Reading the event from the terminal: end it with Ctrl+D');
  const stream = isStdin ? process.stdin : createReadStream(file);
  if (signal) addAbortSignal(signal, stream);
  const decoder = new TextDecoder('utf-8', { fatal: true });
  try {
    for await (const chunk of stream) yield decoder.decode(chunk as Uint8Array, { stream: true });
    yield decoder.decode();
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ERR_ENCODING_INVALID_ENCODED_DATA') throw new UsageError('Expected the input to be UTF-8');
    throw new UsageError(`Cannot read the input: ${message}`);
  } finally {
    stream.destroy();
  }
}

/** Longer than the largest event is in JSON, with every character of it escaped. */
const MAX_LENGTH = 8 * 1024 * 1024;

function checkLength(length: number, what: string): void {
  if (length > MAX_LENGTH)
    throw new UsageError(`Expected ${what} to be at most ${MAX_LENGTH} characters long`);
}

/** All of it. One line break at the end is the shell's, not the text's. */
export async function readText(file: string | undefined): Promise<string> {
  let text = '';
  for await (const chunk of readInput(file)) {
    text += chunk;
    checkLength(text.length, 'the input');
  }
  return text.replace(/\r?\n$/, '');
}

/** A line and its number, from 1. */
export type Line = [line: string, number: number];

/** The lines of the input, without blank ones. @param signal ends the reading, with an error */
export async function* readLines(file: string | undefined, signal: AbortSignal): AsyncGenerator<Line> {
  for await (const line of linesOf(readInput(file, signal))) if (line[0].trim() !== '') yield line;
}

/** The lines of a text. `node:readline` would also break lines at U+2028, which JSON may have within a string. */
export async function* linesOf(chunks: AsyncIterable<string>): AsyncGenerator<Line> {
  let rest = '';
  let number = 1;
  for await (const chunk of chunks) {
    const [first, ...others] = chunk.split('\n') as [string, ...string[]];
    // Only what is new is searched: a line of many chunks costs no more than its length.
    rest += first;
    checkLength(rest.length, `line ${number}`);
    for (const next of others) {
      yield [rest, number];
      number++;
      rest = next;
    }
  }
  if (rest !== '') yield [rest, number];
}

/** The text as JSON; `where` says which text, in the error. */
export function jsonOf(text: string, where: string): JsonText {
  try {
    return new JsonText(text);
  } catch (error) {
    // V8 quotes the text, which may be a secret.
    const reason = (error as Error).message.replace(/(?:^|, )(?:\.\.\.)?"[^]*$/, '');
    throw new UsageError(`Expected ${where} to be JSON: ${reason || 'it is not'}`);
  }
}
