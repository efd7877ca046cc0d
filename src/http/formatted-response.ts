import type { SseStreamEnd } from '../broker/streams.js';
import type { ChannelEvent } from '../channel/channel-event.js';
import { END_TYPE } from '../event/message.js';
import type { SseFormatEvent, SseStreamFormat } from '../formats/sse-stream-format.js';
import { SseError } from '../common/sse.errors.js';
import { checkDecision } from './event-filter.js';
import { Frame } from './frame.js';
import type { Outbox } from './outbox.js';
import { type AnyResponse, isGone } from './platform.js';
import { SseResponse, type SseResponseOptions } from './sse-response.js';

/** The end for a reader whose events the broker has lost. */
const LOST: SseStreamEnd = { status: 'lost', reason: 'data' };

/** @throws SseError `SSE_OPTIONS` for what is no text, such as a promise, whose rejection would end the process */
function frameWith(method: string, text: unknown): Frame {
  if (typeof text === 'string') return new Frame(text);
  Promise.resolve(text).catch(() => undefined);
  throw new SseError('SSE_OPTIONS', `Expected ${method}() of a format to return a text, got ${typeof text}`);
}

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
    const frame = frameWith(isEnd ? 'end' : 'event', text);
    this.#frames.set(event, frame);
    return frame;
  }
}

/** How the events of one response are written. */
export interface Formatting {
  readonly frames: FrameFormat;
  /** The position at which it begins. */
  readonly position: string;
  /** Which events it has. @default all */
  readonly isWanted?: ((event: SseFormatEvent) => boolean) | undefined;
}

/** A response that delivers a stream in another format. It ends with the stream; otherwise it is cut. */
export class FormattedResponse extends SseResponse {
  #isOpen = false;

  constructor(
    private readonly response: AnyResponse,
    outbox: Outbox,
    options: SseResponseOptions,
    private readonly formatting: Formatting,
  ) {
    super(response, outbox, options);
  }

  override open(): void {
    const isFirst = !this.#isOpen;
    this.#isOpen = true;
    this.begin();
    const { frames, position } = this.formatting;
    if (isFirst && frames.format.start) this.#try(() => frameWith('start', frames.format.start!(position)));
  }

  override next(event: ChannelEvent): void {
    if (event.type === 'sse.reset') return this.#lose();
    const { frames, isWanted } = this.formatting;
    this.#try(() => {
      const isSent = event.type === END_TYPE || !isWanted || checkDecision(isWanted(event), 'after()');
      return isSent ? frames.frameOf(event) : undefined;
    });
  }

  /** Browsers take a stream of HTTP/2 that was closed without an error for one that has ended. */
  override destroy(): void {
    this.response.stream?.destroy(new Error('The connection ends before the stream'));
    super.destroy();
  }

  override end(retryMs = 0): void {
    const { response } = this;
    if (response.headersSent || isGone(response)) return this.#cut();
    const headers = { 'Retry-After': Math.ceil(retryMs / 1_000), 'Cache-Control': 'no-store' };
    response.writeHead(503, headers).end('The stream cannot be delivered now');
  }

  override complete(): void {
    if (this.endReason === 'ended') super.complete();
    else this.#cut();
  }

  /** Closes the connection in a way that no client takes for the end of the response. */
  #cut(): void {
    this.write();
    this.destroy();
  }

  #lose(): void {
    this.#try(() => frameWith('end', this.formatting.frames.format.end(LOST, '')));
    this.finish();
  }

  /** Sends what the format makes. If it fails, the connection is cut. */
  #try(make: () => Frame | undefined): void {
    if (this.endReason) return;
    try {
      const frame = make();
      if (frame) this.append(frame);
    } catch (error) {
      this.fail(error);
    }
  }
}
