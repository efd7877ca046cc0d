import { type ExecutionContext, HttpException, Inject, Injectable, mixin, Optional } from '@nestjs/common';
import type { StreamState } from '../broker/streams.js';
import { UndecidedError } from '../connections/access.js';
import { inputError, optionError } from '../common/sse.errors.js';
import { checkChannels, compareCursors, isCursor } from '../event/event.js';
import type { SseStreamFormat } from '../formats/sse-stream-format.js';
import { FrameFormat } from '../http/formatted-response.js';
import { lastEventIdOf } from '../http/last-event-id.js';
import { isGone, type PlatformRequest, type PlatformResponse } from '../http/platform.js';
import type { ResponseTarget } from '../http/response-connection.js';
import { hasAll } from '../streams/stream-reader.js';
import { SseStreamHandle, SseStreamTarget } from '../streams/sse-stream-target.js';
import { SseStreams } from '../streams/sse-streams.service.js';
import type { ChannelRequest } from './requested-channels.js';
import { SseChannelInterceptor } from './sse-channel.interceptor.js';

/** The target of a request for a stream. */
interface StreamTarget extends ResponseTarget {
  readonly isExpected: boolean;
  /** The state of the stream that the request itself has started, or attached to. */
  readonly started: StreamState | undefined;
}

/** As `SseChannelInterceptor`, for a stream: it has an end, so there may be nothing to deliver. */
@Injectable()
export class SseStreamInterceptor extends SseChannelInterceptor {
  @Optional()
  @Inject(SseStreams)
  private readonly streams?: SseStreams;

  /** The format of the route, if it has one. */
  protected readonly frames: FrameFormat | undefined = undefined;

  /** Clients of other formats do not retry by themselves. */
  protected override retries(request: PlatformRequest): boolean {
    return !this.frames && super.retries(request);
  }

  protected override async decide(context: ExecutionContext): Promise<void> {
    const http = context.switchToHttp();
    const request = http.getRequest<PlatformRequest & ChannelRequest>();
    const { rule } = this;
    if (!rule || request.method === 'GET' || request.method === 'HEAD') return;
    const { check, authorizer, channel } = rule;
    if (!channel)
      throw optionError('stream', `given, as a ${request.method} route has an \`allow\` rule`, 'nothing');
    const response = http.getResponse<PlatformResponse>();
    const isWanted = () => !isGone(response.raw ?? response);
    await this.authorization.grant({ check, authorizer, context, isWanted }, checkChannels(channel(request)));
  }

  protected override named(returned: unknown): StreamTarget {
    if (returned instanceof SseStreamTarget) {
      const { id, access, isExpected } = returned;
      return {
        channels: [id],
        access,
        isExpected,
        started: returned instanceof SseStreamHandle ? returned.state : undefined,
      };
    }
    throw inputError('target', 'what streams.attach() or streams.start() returns', returned);
  }

  protected override async prepare(
    { isExpected, started, ...target }: StreamTarget,
    request: PlatformRequest,
  ): Promise<ResponseTarget | undefined> {
    const { readers } = this.streams!;
    const [id] = target.channels as [string];
    const lastEventId = lastEventIdOf(request);
    this.streams!.check();
    const look = (): Promise<StreamState | undefined> =>
      readers.look(id).catch((cause: Error) => {
        // As when an authorizer fails, the client retries.
        throw new UndecidedError('The state of the stream is not known', { cause });
      });
    // A call less before the first event (`bench/ai.bench.js`). An end that is stored since is read with the events.
    const state = started ?? (await look());
    if (!state && isExpected && lastEventId === undefined) {
      throw new UndecidedError('The stream has not started yet');
    }
    const { frames } = this;
    if (!frames) {
      if (hasAll(state, lastEventId)) return undefined;
      return { ...target, subscribe: (subscriber) => readers.read(id, subscriber, { lastEventId, state }) };
    }
    const position = positionOf(frames.format, { state, lastEventId, started });
    if (!state || position === undefined) {
      if (frames.format.nothing) throw checkAnswer(frames.format.nothing());
      return undefined;
    }
    const isWanted = frames.format.after?.(request);
    if (isWanted !== undefined && typeof isWanted !== 'function') {
      Promise.resolve(isWanted).catch(() => undefined);
      throw new TypeError('Expected after() of a format to return a function, or undefined');
    }
    return {
      ...target,
      formatting: { frames, position, isWanted },
      subscribe: (subscriber) => readers.read(id, subscriber, { lastEventId: position, state }),
    };
  }
}

/** @throws TypeError for what Nest cannot answer. Nest logs it, unlike an `SseError` */
function checkAnswer(answer: unknown): HttpException {
  if (answer instanceof HttpException) return answer;
  throw new TypeError('Expected nothing() of a format to return an HttpException');
}

/** Where a client begins in a format, which has no `sse.reset`. @returns undefined if there is nothing to deliver */
function positionOf(
  { replaysEnded = true }: SseStreamFormat,
  {
    state,
    lastEventId,
    started,
  }: Record<'state' | 'started', StreamState | undefined> & { lastEventId: string | undefined },
): string | undefined {
  if (!state || hasAll(state, lastEventId)) return undefined;
  const { generation, end } = state;
  const isPosition = isCursor(lastEventId) && compareCursors(lastEventId, generation) >= 0;
  if (isPosition) return lastEventId;
  // The request that has started the stream gets it, whatever its client has read before.
  if (started) return generation;
  return lastEventId === undefined && (replaysEnded || !end) ? generation : undefined;
}

/** An interceptor of a route with a format. */
export function withFormat(format: SseStreamFormat): typeof SseStreamInterceptor {
  class FormattingInterceptor extends SseStreamInterceptor {
    protected override readonly frames = new FrameFormat(format);
  }
  return mixin(FormattingInterceptor);
}
