import type { SseStreamEnd } from '../broker/streams.js';
import { SseError } from '../common/sse.errors.js';
import type { SseStreamFormat } from './sse-stream-format.js';

/**
 * The UI message stream of the AI SDK (`ai` 5, 6 and 7), as its `DefaultChatTransport` reads it: every data is a chunk, an object with a
 * `type`. Ids are for clients that resume after one; the SDK ignores them.
 *
 * @see https://ai-sdk.dev/docs/ai-sdk-ui/stream-protocol
 */
export const AI_UI: SseStreamFormat = {
  headers: { 'x-vercel-ai-ui-message-stream': 'v1' },
  // Whoever loads the page later has the message from the application.
  replaysEnded: false,
  // A block without data: a connection that breaks before the first chunk can be resumed, too.
  start: (id) => `id: ${id}\n\n`,
  event({ id, json }) {
    const { type } = Object(JSON.parse(json)) as { type?: unknown };
    if (typeof type === 'string') return `id: ${id}\ndata: ${json}\n\n`;
    // Its message is logged, so it quotes no event.
    throw new SseError('SSE_OPTIONS', "The format 'ai-ui' expects UI message chunks: objects with a `type`");
  },
  end(end, id) {
    const chunk = chunkOf(end);
    const data = chunk ? `data: ${JSON.stringify(chunk)}\n\n` : '';
    return `${data}id: ${id}\ndata: [DONE]\n\n`;
  },
};

function chunkOf({ status, reason = status }: SseStreamEnd): object | undefined {
  if (status === 'done') return undefined;
  // The SDK 5 refuses further fields.
  if (status === 'aborted') return { type: 'abort' };
  return { type: 'error', errorText: status === 'lost' ? 'The answer was lost' : reason };
}
