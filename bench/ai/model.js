/** The mock model of the AI SDK: an answer of as many tokens as a request asks for, and how far it is. */
import { simulateReadableStream } from 'ai';
import { MockLanguageModelV4 } from 'ai/test';
import { token } from '../tokens.js';

export const textOf = (tokens) => Array.from({ length: tokens }, (_, n) => token(n).delta).join('');

const USAGE = { inputTokens: { total: 1 }, outputTokens: { total: 1 } };
const FINISH = { type: 'finish', finishReason: { unified: 'stop', raw: 'stop' }, usage: USAGE };

function chunksOf(tokens, failsAt) {
  const deltas = Array.from({ length: failsAt ?? tokens }, (_, n) => ({ ...token(n), id: '0' }));
  const start = [
    { type: 'stream-start', warnings: [] },
    { type: 'text-start', id: '0' },
  ];
  const end =
    failsAt === undefined
      ? [{ type: 'text-end', id: '0' }, FINISH]
      : [{ type: 'error', error: new Error('The model is overloaded') }];
  return [...start, ...deltas, ...end];
}

/** What the models of this process have done, by chat. */
const runs = new Map();

export const runOf = (id) => runs.get(id);

/**
 * @param request.firstMs time until the first one
 * @param request.paceMs time between two tokens; none: all of them at once
 * @param request.failsAt after how many tokens the model fails, if it does
 * @param request.held whether the model waits after its last token, until `release()`
 */
export function modelFor({ id, tokens, firstMs = null, paceMs = null, failsAt, held }) {
  const run = { tokens: 0, isOver: false, release: () => {} };
  const hold = held ? new Promise((resolve) => (run.release = resolve)) : undefined;
  runs.set(id, run);
  const watched = new TransformStream({
    async transform(chunk, controller) {
      if (chunk.type === 'text-delta') run.tokens++;
      if (chunk.type === 'text-end') await hold;
      controller.enqueue(chunk);
    },
    flush: () => void (run.isOver = true),
  });
  return new MockLanguageModelV4({
    // A provider's `fetch()` ends on the signal, too.
    doStream: async ({ abortSignal }) => ({
      stream: simulateReadableStream({
        chunks: chunksOf(tokens, failsAt),
        initialDelayInMs: firstMs,
        chunkDelayInMs: paceMs,
      }).pipeThrough(watched, { signal: abortSignal }),
    }),
  });
}

/** Lets all held models finish. @returns how many tokens each has produced */
export function releaseAll() {
  const counts = [...runs.values()].map(({ tokens }) => tokens);
  for (const { release } of runs.values()) release();
  return counts;
}
