import { type ExecutionContext, Inject, Injectable, Optional } from '@nestjs/common';
import { UndecidedError } from '../connections/access.js';
import { inputError, optionError } from '../common/sse.errors.js';
import { checkChannels } from '../event/event.js';
import { isGone, type PlatformRequest, type PlatformResponse } from '../http/platform.js';
import type { ResponseTarget } from '../http/sse-responses.js';
import { hasAll } from '../streams/stream-reader.js';
import { SseStreamTarget } from '../streams/sse-stream-target.js';
import { SseStreams } from '../streams/sse-streams.service.js';
import type { ChannelRequest } from './requested-channels.js';
import { SseChannelInterceptor } from './sse-channel.interceptor.js';

/** As `SseChannelInterceptor`, for a stream: it has an end, so there may be nothing to deliver. */
@Injectable()
export class SseStreamInterceptor extends SseChannelInterceptor {
  @Optional()
  @Inject(SseStreams)
  private readonly streams?: SseStreams;

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

  protected override named(returned: unknown): ResponseTarget & { isExpected: boolean } {
    if (returned instanceof SseStreamTarget) {
      const { id, access, isExpected } = returned;
      return { channels: [id], access, isExpected };
    }
    throw inputError('target', 'what streams.attach() or streams.start() returns', returned);
  }

  protected override async prepare(
    { isExpected, ...target }: ResponseTarget & { isExpected?: boolean },
    lastEventId?: string,
  ): Promise<ResponseTarget | undefined> {
    const { readers } = this.streams!;
    const [id] = target.channels as [string];
    this.streams!.check();
    // As when an authorizer fails, the client retries.
    const state = await readers.look(id).catch((cause: Error) => {
      throw new UndecidedError('The state of the stream is not known', { cause });
    });
    if (!state && isExpected && lastEventId === undefined) {
      throw new UndecidedError('The stream has not started yet');
    }
    if (hasAll(state, lastEventId)) return undefined;
    return {
      ...target,
      subscribe: (subscriber) => readers.read(id, subscriber, { lastEventId, state }),
    };
  }
}
