import { DefaultChatTransport, type UIMessage } from 'ai';
import { wholeAnswer } from './whole-answer.js';

type Fetch = typeof globalThis.fetch;
type Init<M extends UIMessage> = NonNullable<ConstructorParameters<typeof DefaultChatTransport<M>>[0]>;
type Options<M extends UIMessage> = Parameters<DefaultChatTransport<M>['reconnectToStream']>[0];

/** Options of `SseChatTransport`, beside those of the SDK's `DefaultChatTransport`. */
export interface SseChatTransportOptions {
  /** The `generation` of the stream that is live when the page loads: the page gets all of it, even if it has ended since. */
  generation?: string | undefined;
}

/**
 * The AI SDK's `DefaultChatTransport` for `@SseStream({ format: 'ai-ui' })` routes. It also resumes inside an answer: where a connection
 * breaks, or ends before the answer, it requests the rest. Each chunk arrives once. The answer fails after 12 attempts in a row, about half
 * a minute, or if the rest is not kept.
 */
export class SseChatTransport<M extends UIMessage = UIMessage> extends DefaultChatTransport<M> {
  constructor(private init: Init<M> & SseChatTransportOptions = {}) {
    super(init);
  }

  /** Sends as `DefaultChatTransport` does. */
  override sendMessages(options: Parameters<DefaultChatTransport<M>['sendMessages']>[0]) {
    // The next answer is another stream.
    this.init = { ...this.init, generation: undefined };
    return this.#with((response) => this.#whole(response, options)).sendMessages(options);
  }

  /** Resumes as `DefaultChatTransport` does. */
  override reconnectToStream(options: Options<M>) {
    const { generation } = this.init;
    return this.#with((response) => this.#whole(response, options), generation).reconnectToStream(options);
  }

  #whole(response: Response, options: Options<M>): Response {
    return wholeAnswer(response, async (id) => {
      let rest = response;
      const take = (taken: Response) => {
        rest = taken;
        return new Response(null, { status: 204 });
      };
      await this.#with(take, id).reconnectToStream(options);
      return rest;
    });
  }

  /** Requests as the SDK does, with a last event id, and has it read another response than the server's. */
  #with(replace: (response: Response) => Response, id?: string): DefaultChatTransport<M> {
    const fetch: Fetch = async (url, init) => {
      const headers = { ...(init?.headers as object), ...(id && { 'last-event-id': id }) };
      return replace(await (this.init.fetch ?? globalThis.fetch)(url, { ...init, headers }));
    };
    return new DefaultChatTransport<M>({ ...this.init, fetch });
  }
}
