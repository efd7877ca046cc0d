import { describe, expect, it } from '@jest/globals';
import { Controller, Injectable, Query, Param } from '@nestjs/common';
import {
  ApiHeader,
  ApiOkResponse,
  ApiQuery,
  ApiResponse,
  DocumentBuilder,
  SwaggerModule,
} from '@nestjs/swagger';
import { fromQuery, type SseAuthorizer, SseChannel, SseModule } from 'nestjs-sse-channels';
import { platforms, startApp } from './support/app.js';

@Injectable()
class Readers implements SseAuthorizer {
  authorize() {
    return true;
  }
}

@Controller()
class NewsController {
  @SseChannel('news')
  news() {
    return 'news';
  }

  @SseChannel('listed', { channel: fromQuery, allow: ['news'] })
  listed() {}

  @SseChannel('asked', { channel: fromQuery, allow: Readers })
  asked() {}

  @SseChannel('own/:channel', { allow: ['news'] })
  @ApiOkResponse({ description: 'My events' })
  @ApiHeader({ name: 'last-event-id', description: 'Mine' })
  own(@Param('channel') channel: string) {
    return channel;
  }

  @ApiResponse({ status: 403, description: 'Not yours' })
  @SseChannel('described', { allow: ['news'] })
  @ApiQuery({ name: 'channel', description: 'Yours' })
  described(@Query('channel') channel: string) {
    return channel;
  }
}

describe.each(platforms)('What @nestjs/swagger shows on %s', (_, platform) => {
  it('is an event stream, its parameters, and the statuses of a rule', async () => {
    const { app } = await startApp(platform, {
      imports: [SseModule.forRoot()],
      controllers: [NewsController],
    });
    const { paths } = SwaggerModule.createDocument(app, new DocumentBuilder().build());
    const routeOf = (path: string) => {
      const { parameters = [], responses } = paths[path]!.get!;
      const names = (parameters as { in: string; name: string }[]).map((each) => `${each.in} ${each.name}`);
      return { responses, names: names.toSorted(), parameters };
    };
    const stream = {
      description: 'Server-sent events',
      content: { 'text/event-stream': { schema: { type: 'string' } } },
    };
    expect(routeOf('/news')).toMatchObject({ responses: { 200: stream }, names: ['header Last-Event-ID'] });
    expect(Object.keys(routeOf('/news').responses)).toEqual(['200']);
    const named = ['header Last-Event-ID', 'query channel'];
    expect(routeOf('/listed')).toMatchObject({ responses: { 200: stream, 403: {} }, names: named });
    expect(Object.keys(routeOf('/listed').responses)).toEqual(['200', '403']);
    expect(routeOf('/asked')).toMatchObject({ responses: { 200: stream, 401: {}, 403: {} }, names: named });
    const own = routeOf('/own/{channel}');
    expect(own).toMatchObject({
      responses: { 200: { ...stream, description: 'My events' }, 403: {} },
      names: ['header last-event-id', 'path channel'],
    });
    const described = routeOf('/described');
    expect(described).toMatchObject({
      responses: { 200: stream, 403: { description: expect.stringContaining('Not yours') } },
      names: named,
    });
    expect(described.parameters).toContainEqual(
      expect.objectContaining({ name: 'channel', description: 'Yours' }),
    );
  });
});
