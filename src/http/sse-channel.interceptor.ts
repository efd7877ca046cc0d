import { type CallHandler, type ExecutionContext, Injectable, type NestInterceptor } from '@nestjs/common';
import { firstValueFrom, type Observable, of } from 'rxjs';
import {
  EventStreams,
  type PlatformRequest,
  type PlatformResponse,
  type SseTarget,
} from './event-streams.js';

const SERVED = of(undefined);

/** Hands the response over once the handler has named its target; before that, errors are Nest's to answer. */
@Injectable()
export class SseChannelInterceptor implements NestInterceptor<SseTarget, void> {
  constructor(private readonly streams: EventStreams) {}

  async intercept(context: ExecutionContext, next: CallHandler<SseTarget>): Promise<Observable<void>> {
    const http = context.switchToHttp();
    const request = http.getRequest<PlatformRequest>();
    const response = http.getResponse<PlatformResponse>();
    const target = await firstValueFrom(next.handle());
    await this.streams.serve(request, response, target);
    return SERVED;
  }
}
