/** How often the rest is requested without a new event, and the pauses before that, in ms: the first, and the longest. */
const [ATTEMPTS, PAUSE_MS, MAX_PAUSE_MS] = [12, 250, 8_000];

/** After so long without a byte a connection is taken for broken, in ms: three heartbeats of a server with the default interval. */
const SILENCE_MS = 45_000;

/** Requests what follows an event; without an id, all. */
export type Reopen = (id: string | undefined, signal: AbortSignal) => Promise<Response>;

/**
 * A response that goes on over as many connections as it takes, until it has `[DONE]`.
 *
 * @param signal of the request: once it is aborted, the answer fails
 */
export function wholeAnswer(response: Response, reopen: Reopen, signal?: AbortSignal): Response {
  if (response.status !== 200) return response;
  const over = new AbortController();
  const isAborted = () => signal?.aborted === true;
  const blocks = readWhole(response, (id) => reopen(id, over.signal), { isAborted, over: over.signal });
  const body = new ReadableStream<string>({
    async pull(controller) {
      const { done, value } = await blocks.next();
      if (done) controller.close();
      else controller.enqueue(value);
    },
    cancel: () => over.abort(),
  });
  return new Response(body.pipeThrough(new TextEncoderStream()), response);
}

async function* readWhole(
  response: Response,
  reopen: (id: string | undefined) => Promise<Response>,
  { isAborted, over }: { isAborted: () => boolean; over: AbortSignal },
): AsyncGenerator<string, void> {
  let id: string | undefined;
  let failures = 0;
  for (let rest: Response | undefined = response; !over.aborted; rest = undefined) {
    try {
      rest ??= await reopen(id);
      for await (const blocks of rest.status === 200 ? blocksOf(rest, over) : []) {
        if (/^data:/m.test(blocks)) failures = 0;
        const [last] = blocks.match(/^id: .+$/gm)?.slice(-1) ?? [];
        id = last?.slice(4) ?? id;
        yield blocks;
        if (/^data: \[DONE\]$/m.test(blocks)) return;
      }
    } catch (error) {
      if (isAborted() || failures === ATTEMPTS) throw error;
    }
    if (over.aborted) return;
    const { status } = rest ?? {};
    const isRefused = status !== undefined && status !== 200 && status < 500 && ![408, 429].includes(status);
    if (isRefused || failures === ATTEMPTS) {
      throw new Error(`The answer was cut off, and the rest is not available: status ${status}`);
    }
    const pause = failures === 0 ? 0 : Math.min(MAX_PAUSE_MS, PAUSE_MS * 2 ** failures);
    await new Promise((resolve) => setTimeout(resolve, Math.random() * pause));
    failures++;
    if (isAborted()) throw new DOMException('The answer is no longer wanted', 'AbortError');
  }
}

/** The whole blocks of a response. What follows the last one is dropped. */
async function* blocksOf({ body }: Response, signal: AbortSignal): AsyncGenerator<string, void> {
  const reader = body!.pipeThrough(new TextDecoderStream()).getReader();
  // It may be waiting for the next event.
  const cancel = () => void reader.cancel().catch(() => undefined);
  signal.addEventListener('abort', cancel);
  if (signal.aborted) cancel();
  let silence: ReturnType<typeof setTimeout> | undefined;
  const read = () => {
    clearTimeout(silence);
    silence = setTimeout(cancel, SILENCE_MS);
    return reader.read();
  };
  try {
    for (let [text, part] = ['', await read()]; !part.done; part = await read()) {
      text += part.value;
      const end = text.lastIndexOf('\n\n') + 2;
      if (end === 1) continue;
      yield text.slice(0, end);
      text = text.slice(end);
    }
  } finally {
    clearTimeout(silence);
    signal.removeEventListener('abort', cancel);
    cancel();
  }
}
