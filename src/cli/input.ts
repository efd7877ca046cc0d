import { createReadStream } from 'node:fs';
import { UsageError, writeError } from './redis.command.js';

/** A file, or what is piped in. Not being readable is the user's to mend: a usage error. */
export async function* readInput(file: string | undefined): AsyncGenerator<string> {
  if (file === undefined && process.stdin.isTTY)
    writeError('Reading the event from the terminal: end it with Ctrl+D');
  const stream = file === undefined ? process.stdin : createReadStream(file);
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

/** All of it. One line break at the end is the shell's, not the text's. */
export async function readText(file: string | undefined): Promise<string> {
  const chunks: string[] = [];
  for await (const chunk of readInput(file)) chunks.push(chunk);
  return chunks.join('').replace(/\r?\n$/, '');
}

/**
 * Its lines, with their numbers, but for blank ones. `node:readline` would also break lines at U+2028, which JSON
 * may have within a string.
 */
export async function* readLines(file: string | undefined): AsyncGenerator<[line: string, number: number]> {
  let rest = '';
  let number = 0;
  for await (const chunk of readInput(file)) {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop()!;
    for (const line of lines) {
      number++;
      if (line.trim() !== '') yield [line, number];
    }
  }
  if (rest.trim() !== '') yield [rest, number + 1];
}

/** The text as JSON; `where` says which text, in the error. */
export function parseJson(text: string, where: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new UsageError(`Expected ${where} to be JSON: ${(error as Error).message}`);
  }
}
