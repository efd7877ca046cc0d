/** How often the rest is requested without a new event, and the pauses before that, in ms: the first, and the longest. */
const [ATTEMPTS, PAUSE_MS, MAX_PAUSE_MS] = [12, 250, 8_000];

/** Requests what follows an event; without an id, all. */
type Reopen = (id: string | undefined) => Promise<Response>;

/** A response that goes on over as many connections as it takes, until it has `[DONE]`. */
export function wholeAnswer(response: Response, reopen: Reopen): Response {
  if (response.status !== 200) return response;
  const over = new AbortController();
  const blocks = readWhole(response, reopen, over.signal);
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
  reopen: Reopen,
  signal: AbortSignal,
): AsyncGenerator<string, void> {
  let id: string | undefined;
  let failures = 0;
  for (let rest: Response | undefined = response; !signal.aborted; rest = undefined) {
    try {
      rest ??= await reopen(id);
      for await (const blocks of rest.status === 200 ? blocksOf(rest, signal) : []) {
        failures = 0;
        const [last] = blocks.match(/^id: .+$/gm)?.slice(-1) ?? [];
        id = last?.slice(4) ?? id;
        yield blocks;
        if (/^data: \[DONE\]$/m.test(blocks)) return;
      }
    } catch (error) {
      if ((error as Error).name === 'AbortError' || failures === ATTEMPTS) throw error;
    }
    if (signal.aborted) return;
    const { status } = rest ?? {};
    const isRefused = status !== undefined && status !== 200 && status < 500 && ![408, 429].includes(status);
    if (isRefused || failures === ATTEMPTS) {
      throw new Error(`The answer was cut off, and the rest is not available: status ${status}`);
    }
    const pause = failures === 0 ? 0 : Math.min(MAX_PAUSE_MS, PAUSE_MS * 2 ** failures);
    await new Promise((resolve) => setTimeout(resolve, Math.random() * pause));
    failures++;
  }
}

/** The whole blocks of a response. What follows the last one is dropped. */
async function* blocksOf({ body }: Response, signal: AbortSignal): AsyncGenerator<string, void> {
  const reader = body!.pipeThrough(new TextDecoderStream()).getReader();
  // It may be waiting for the next event.
  const cancel = () => void reader.cancel().catch(() => undefined);
  signal.addEventListener('abort', cancel);
  if (signal.aborted) cancel();
  try {
    for (let [text, part] = ['', await reader.read()]; !part.done; part = await reader.read()) {
      text += part.value;
      const end = text.lastIndexOf('\n\n') + 2;
      if (end === 1) continue;
      yield text.slice(0, end);
      text = text.slice(end);
    }
  } finally {
    signal.removeEventListener('abort', cancel);
    cancel();
  }
}
