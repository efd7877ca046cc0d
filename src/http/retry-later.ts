import { HEADERS } from './response-writer.js';
import { retryFrame } from './frame.js';
import { isGone, type PlatformResponse, takeHeaders } from './platform.js';

/** Answers so that an `EventSource` retries after about `retryMs`: with another status than 200 it would never retry. */
export async function retryLater(response: PlatformResponse, retryMs: number): Promise<void> {
  const raw = response.raw ?? response;
  if (isGone(raw) || raw.writableEnded) return;
  if (response.raw && !(await takeHeaders(response, raw))) return;
  response.hijack?.();
  if (isGone(raw)) return;
  raw.writeHead(200, HEADERS).end(retryFrame(retryMs).text());
}
