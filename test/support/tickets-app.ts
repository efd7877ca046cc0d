import { Controller, Get, Param, Post, Sse, UseGuards } from '@nestjs/common';
import {
  ChannelGuard,
  fromQuery,
  GrantedChannels,
  LastEventId,
  SseChannel,
  type SseGrant,
  SseModule,
  type SseModuleOptions,
  SseService,
  SseStream,
  SseStreams,
  SseTickets,
  StreamGuard,
} from 'nestjs-sse-channels';
import { type Platform, startApp } from './app.js';
import { connect } from './client.js';

/** Routes of each kind that take tickets. */
@Controller()
export class TicketsController {
  constructor(
    private readonly sse: SseService,
    private readonly streams: SseStreams,
  ) {}

  @SseChannel('orders/:id/events', { allow: SseTickets })
  order(@Param('id') id: string) {
    return `order:${id}`;
  }

  @SseChannel('listed', { channel: fromQuery, allow: SseTickets })
  listed() {}

  @Sse('guarded')
  @UseGuards(ChannelGuard(SseTickets, fromQuery))
  guarded(@GrantedChannels() allowed: SseGrant, @LastEventId() lastEventId?: string) {
    return this.sse.messages(allowed, { lastEventId });
  }

  @Get('jobs/:id')
  @SseStream({ allow: SseTickets })
  watch(@Param('id') id: string) {
    return this.streams.attach(id);
  }

  @Post('jobs/:id')
  @SseStream({ allow: SseTickets, stream: ({ params }) => params.id })
  run(@Param('id') id: string) {
    return this.streams.start(id, (out) => void out.write('step'));
  }

  @Post('jobs/:id/stop')
  @UseGuards(StreamGuard(SseTickets, ({ params }) => params.id))
  stop(@Param('id') id: string) {
    return this.streams.abort(id);
  }
}

/** A node whose routes take tickets. */
export async function startTickets(platform: Platform, options: SseModuleOptions = {}) {
  const metadata = {
    imports: [SseModule.forRoot({ retryMs: 100, ...options })],
    controllers: [TicketsController],
  };
  const { app, url } = await startApp(platform, metadata, (created) => {
    // On Express. With this parser, a query may have objects.
    const instance = created.getHttpAdapter().getInstance() as { set?(name: string, value: string): void };
    instance.set?.('query parser', 'extended');
  });
  /** @param path with `?`, as the ticket is added at its end */
  const read = (path: string, ticket: string, headers = {}) =>
    connect(`${url}/${path}${path.includes('?') ? '&' : '?'}ticket=${ticket}`, headers);
  const tickets = app.get(SseTickets);
  return { app, url, read, tickets, sse: app.get(SseService), streams: app.get(SseStreams) };
}

/** A ticket of a shape that is accepted, and which nothing has issued. */
export const GUESSED = 'x'.repeat(43);
