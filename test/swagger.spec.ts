import { describe, expect, it } from '@jest/globals';
import { Controller, Get, Headers, Injectable, Query, Param } from '@nestjs/common';
import {
  ApiForbiddenResponse,
  ApiHeader,
  ApiOkResponse,
  ApiQuery,
  ApiResponse,
  DocumentBuilder,
  SwaggerModule,
} from '@nestjs/swagger';
import {
  fromQuery,
  type SseAuthorizer,
  SseChannel,
  SseModule,
  SseStream,
  SseStreamTarget,
  SseTickets,
} from 'nestjs-sse-channels';
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

  @SseChannel('ticketed', { channel: fromQuery, allow: SseTickets })
  ticketed() {}

  @Get('job')
  @SseStream({ allow: SseTickets })
  job() {
    return new SseStreamTarget('job');
  }

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

const MINE = { description: 'Mine' };

@Controller('own')
@ApiForbiddenResponse(MINE)
class OwnController {
  @ApiOkResponse(MINE)
  @SseChannel('above', { allow: ['news'] })
  @ApiHeader({ name: 'last-event-id', description: 'Mine' })
  above() {
    return 'news';
  }

  @SseChannel('below', { allow: ['news'] })
  @ApiOkResponse(MINE)
  @ApiResponse({ status: 403, description: 'Below' })
  below(@Headers('last-event-id') id: string) {
    return id;
  }

  @ApiOkResponse({ ...MINE, content: { 'text/event-stream': { example: 'data: 1' } } })
  @SseChannel('content')
  content() {
    return 'news';
  }
}

describe.each(platforms)('The description by @nestjs/swagger on %s', (_, platform) => {
  it('contains the event stream, its parameters, and the statuses of a rule', async () => {
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
    const resuming = ['header Last-Event-ID', 'query lastEventId'];
    expect(routeOf('/news')).toMatchObject({ responses: { 200: stream }, names: resuming });
    expect(Object.keys(routeOf('/news').responses)).toEqual(['200']);
    const named = ['header Last-Event-ID', 'query channel', 'query lastEventId'];
    expect(routeOf('/listed')).toMatchObject({ responses: { 200: stream, 403: {} }, names: named });
    expect(Object.keys(routeOf('/listed').responses)).toEqual(['200', '400', '403']);
    expect(routeOf('/asked')).toMatchObject({ responses: { 200: stream, 401: {}, 403: {} }, names: named });
    const refusal = { description: 'The ticket is not valid, or not any more' };
    expect(routeOf('/ticketed').names).toEqual([...named, 'query ticket']);
    expect(routeOf('/ticketed').responses).toEqual({ 200: stream, 400: expect.anything(), 401: refusal });
    expect(routeOf('/job').names).toEqual([...resuming, 'query ticket']);
    expect(Object.keys(routeOf('/job').responses)).toEqual(['200', '204', '401']);
    const own = routeOf('/own/{channel}');
    expect(own).toMatchObject({
      responses: { 200: { ...stream, description: 'My events' }, 403: {} },
      names: ['header last-event-id', 'path channel', 'query lastEventId'],
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

  it('prefers the route’s own decorators, in any order', async () => {
    const { app } = await startApp(platform, {
      imports: [SseModule.forRoot()],
      controllers: [OwnController],
    });
    const { paths } = SwaggerModule.createDocument(app, new DocumentBuilder().build());
    const content = { 'text/event-stream': { schema: { type: 'string' } } };
    const of = (name: string) => {
      const { responses, parameters = [] } = paths[`/own/${name}`]!.get!;
      const headers = (parameters as { in: string; name: string; description?: string }[]).filter(
        (parameter) => parameter.in === 'header',
      );
      return { responses, headers };
    };
    expect(of('above')).toMatchObject({
      responses: { 200: { ...MINE, content }, 403: MINE },
      headers: [{ name: 'last-event-id', description: 'Mine' }],
    });
    expect(of('below').responses).toMatchObject({ 200: { ...MINE, content }, 403: { description: 'Below' } });
    for (const name of ['above', 'below']) expect(of(name).headers).toHaveLength(1);
    expect(of('content').responses).toMatchObject({
      200: { ...MINE, content: { 'text/event-stream': { example: 'data: 1' } } },
    });
  });
});
