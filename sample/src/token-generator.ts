import { setTimeout as sleep } from 'node:timers/promises';
import { ServiceUnavailableException } from '@nestjs/common';

/** What an answer consists of. */
const SENTENCES = [
  'This text comes from a generator on a node of the sample, and not from a model.',
  'The stream of an answer has one producer and any number of readers.',
  'It goes on when the tab that has asked is closed.',
  'A reload asks for the stream again, and gets it from its first chunk on.',
  'Each chunk has an id, and a client that was disconnected resumes after the last one it has.',
  'It may do so on any node, because all nodes read the same history.',
  'A second tab gets the same chunks in the same order.',
  'A stop in one tab stops the answer for all of them.',
  'The producer gets a signal, and saves the text that it has written so far.',
  'While the stream is live, its node renews a lease.',
  'When the node is killed, the lease expires, and the stream ends as lost.',
  'So each reader gets an end, and no tab waits for ever.',
];
/** Sentences of a paragraph. */
const PARAGRAPH = 4;

export interface Generation {
  readonly tokensPerSecond: number;
  /** In tokens. */
  readonly length: number;
  /** Whether the generator fails half-way, as a model does that is overloaded. */
  readonly fails: boolean;
}

/** Words, with the space or the line break before them. */
function* words(): Generator<string, never> {
  for (let n = 0; ; n++) {
    const gap = n === 0 ? '' : n % PARAGRAPH === 0 ? '\n\n' : ' ';
    yield* `${gap}${SENTENCES[n % SENTENCES.length]!}`.match(/\s*\S+/g)!;
  }
}

/**
 * Tokens at an even pace, in place of a model.
 *
 * @throws ServiceUnavailableException half-way, if it is to fail
 */
export async function* generate({ tokensPerSecond, length, fails }: Generation, signal: AbortSignal) {
  const source = words();
  for (let n = 0; n < length; n++) {
    await sleep(1_000 / tokensPerSecond, undefined, { signal });
    if (fails && n >= length / 2) throw new ServiceUnavailableException('The model is overloaded');
    yield source.next().value;
  }
}
