import type { SseStreamEnd } from '../broker/streams.js';
import type { ChannelEvent } from '../channel/channel-event.js';
import { END_TYPE } from '../event/message.js';
import type { SseFormatEvent, SseStreamFormat } from '../formats/sse-stream-format.js';
import { Frame } from './frame.js';
import type { Outbox } from './outbox.js';
import { type AnyResponse, isGone } from './platform.js';
import { SseResponse, type SseResponseOptions } from './sse-response.js';

/** The end for a reader whose events the broker has lost. */
const LOST: SseStreamEnd = { status: 'lost', reason: 'data' };

/** A format with the frames that it has made, which the readers of a node share. */
export class FrameFormat {
  readonly #frames = new WeakMap<ChannelEvent, Frame>();

  constructor(readonly format: SseStreamFormat) {}

  /** @throws what the format throws */
  frameOf(event: ChannelEvent): Frame {
    const known = this.#frames.get(event);
    if (known) return known;
    const { format } = this;
    const isEnd = event.type === END_TYPE;
    const text = isEnd ? format.end(JSON.parse(event.json) as SseStreamEnd, event.id) : format.event(event);
    const frame = new Frame(text);
    this.#frames.set(event, frame);
    return frame;
  }
}

/** How the events of one response are written. */
export interface Formatting {
  readonly frames: FrameFormat;
  /** Which events it has. @default all */
  readonly isWanted?: ((event: SseFormatEvent) => boolean) | undefined;
}

/** A response that delivers a stream in another format. It ends with the stream; otherwise it is cut. */
export class FormattedResponse extends SseResponse {
  constructor(
    response: AnyResponse,
    outbox: Outbox,
    options: SseResponseOptions,
    private readonly formatting: Formatting,
  ) {
    super(response, outbox, options);
  }

  override open(): void {
    this.begin();
  }

  override next(event: ChannelEvent): void {
    if (this.endReason) return;
    try {
      if (event.type === 'sse.reset') return this.#lose();
      const { frames, isWanted } = this.formatting;
      if (event.type === END_TYPE || (isWanted?.(event) ?? true)) this.append(frames.frameOf(event));
    } catch (error) {
      this.fail(error);
    }
  }

  override end(retryMs = 0): void {
    const { response } = this;
    if (response.headersSent || isGone(response)) return this.#cut();
    const headers = { 'Retry-After': Math.ceil(retryMs / 1_000), 'Cache-Control': 'no-store' };
    response.writeHead(503, headers).end();
  }

  override complete(): void {
    if (this.endReason === 'ended') super.complete();
    else this.#cut();
  }

  /** Closes the connection in a way that no client takes for the end of the response. */
  #cut(): void {
    this.write();
    // Without an error, browsers take a stream of HTTP/2 for one that has ended.
    this.response.stream?.destroy(new Error('The connection ends before the stream'));
    this.destroy();
  }

  #lose(): void {
    this.append(new Frame(this.formatting.frames.format.end(LOST, '')));
    this.finish();
  }
}
