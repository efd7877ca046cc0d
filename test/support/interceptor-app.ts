import { Controller, Get, type NestInterceptor, type Provider, Res } from '@nestjs/common';
import { APP_INTERCEPTOR } from '@nestjs/core';
import { SseChannel } from 'nestjs-sse-channels';
import type { Observable } from 'rxjs';

/** The methods that Express's response and Fastify's reply share. */
export interface Answer {
  statusCode: number;
  status(code: number): Answer;
  send(body: unknown): unknown;
  header(name: string, value: string): unknown;
  redirect(url: string): unknown;
}

@Controller()
export class NewsController {
  @SseChannel('news')
  news() {
    return 'news';
  }

  @SseChannel('with-response')
  withResponse(@Res() response: Answer) {
    response.header('X-Own', 'yes');
    return 'news';
  }

  @Get('plain')
  plain() {
    return { plain: true };
  }
}

export type Work = (values: Observable<unknown>, answer: Answer) => Observable<unknown>;

/** A global interceptor. */
export const around = (work: Work): Provider => ({
  provide: APP_INTERCEPTOR,
  useValue: {
    intercept: (context, next) => work(next.handle(), context.switchToHttp().getResponse()),
  } satisfies NestInterceptor,
});
