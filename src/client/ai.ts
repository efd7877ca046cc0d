import { DefaultChatTransport, type UIMessage } from 'ai';
import { type Reopen, wholeAnswer } from './whole-answer.js';

type Fetch = typeof globalThis.fetch;
type Init<M extends UIMessage> = NonNullable<ConstructorParameters<typeof DefaultChatTransport<M>>[0]>;
type Options<M extends UIMessage> = Parameters<DefaultChatTransport<M>['reconnectToStream']>[0];

/**
 * The AI SDK's `DefaultChatTransport` for `@SseStream({ format: 'ai-ui' })` routes. It also resumes inside an answer: where a connection
 * breaks, or ends before the answer, it requests the rest. Each chunk arrives once. The answer fails after 12 attempts in a row, about half
 * a minute, or if the rest is not kept.
 */
export class SseChatTransport<M extends UIMessage = UIMessage> extends DefaultChatTransport<M> {
  /** @param init also the `generation` of the stream that is live when the page loads: it is resumed even if it has ended since */
  constructor(private init: Init<M> & { generation?: string | undefined } = {}) {
    super(init);
  }

  /** Sends as `DefaultChatTransport` does. */
  override sendMessages(options: Parameters<DefaultChatTransport<M>['sendMessages']>[0]) {
    // The next answer is another stream.
    this.init = { ...this.init, generation: undefined };
    return this.#with((response) => this.#whole(response, options)).sendMessages(options);
  }

  /** Resumes as `DefaultChatTransport` does. */
  override async reconnectToStream(options: Options<M>) {
    const { generation } = this.init;
    const resume = (id?: string) =>
      this.#with((response) => this.#whole(response, options), id).reconnectToStream(options);
    const stream = await resume(generation);
    this.init = { ...this.init, generation: undefined };
    // Another answer may be live by now.
    return stream ?? (generation === undefined ? null : resume());
  }

  #whole(response: Response, options: Options<M>): Response {
    const reopen: Reopen = async (id, signal) => {
      let rest = response;
      const take = (taken: Response) => {
        rest = taken;
        return new Response(null, { status: 204 });
      };
      await this.#with(take, id, signal).reconnectToStream(options);
      return rest;
    };
    return wholeAnswer(response, reopen, options.abortSignal);
  }

  /** Requests as the SDK does, with a last event id, and has it read another response than the server's. */
  #with(replace: (response: Response) => Response, id?: string, over?: AbortSignal): DefaultChatTransport<M> {
    const fetch: Fetch = async (url, init) => {
      const headers = { ...(init?.headers as object), ...(id && { 'last-event-id': id }) };
      const signals = [init?.signal, over].filter((one) => one instanceof AbortSignal);
      const request = { ...init, headers, signal: AbortSignal.any(signals) };
      return replace(await (this.init.fetch ?? globalThis.fetch)(url, request));
    };
    return new DefaultChatTransport<M>({ ...this.init, fetch });
  }
}
