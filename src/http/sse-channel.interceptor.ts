import { type CallHandler, type ExecutionContext, Injectable, type NestInterceptor } from '@nestjs/common';
import { mergeMap, type Observable, take } from 'rxjs';
import {
  EventStreams,
  type PlatformRequest,
  type PlatformResponse,
  type SseTarget,
} from './event-streams.js';

/** Hands the response over once the handler has named its target; before that, errors are Nest's to answer. */
@Injectable()
export class SseChannelInterceptor implements NestInterceptor<SseTarget, void> {
  constructor(private readonly streams: EventStreams) {}

  intercept(context: ExecutionContext, next: CallHandler<SseTarget>): Observable<void> {
    const http = context.switchToHttp();
    const request = http.getRequest<PlatformRequest>();
    const response = http.getResponse<PlatformResponse>();
    return next.handle().pipe(
      take(1),
      mergeMap((target) => this.streams.serve(request, response, target)),
    );
  }
}
