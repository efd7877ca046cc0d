import { HEAD } from './event-stream.js';
import { retryFrame } from './frame.js';
import { isGone, type PlatformResponse, takeHeaders } from './platform.js';

/** Answers so that an `EventSource` retries after `retryMs` or somewhat more; any other status would end it for good. */
export async function retryLater(response: PlatformResponse, retryMs: number): Promise<void> {
  const raw = response.raw ?? response;
  if (isGone(raw) || raw.writableEnded) return;
  if (response.raw && !(await takeHeaders(response, raw))) return;
  response.hijack?.();
  if (isGone(raw)) return;
  raw.writeHead(200, HEAD).end(retryFrame(retryMs).text());
}
