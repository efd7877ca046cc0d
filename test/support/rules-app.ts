import { Controller, Injectable, Param, Query, Sse, UseGuards } from '@nestjs/common';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import {
  ChannelGuard,
  fromQuery,
  GrantedChannels,
  type SseAuthorizer,
  SseChannel,
  SseGrant,
  SseModule,
  SseService,
  type SseTarget,
} from 'nestjs-sse-channels';
import qs from 'qs';
import { type Platform, startApp } from './app.js';
import { connect } from './client.js';

/** The decision of the authorizers, which a test sets, and the channels that `ReadersOfAll` was asked about. */
export const authorizer = { decision: true as unknown, asked: [] as unknown[] };

/** The target that the handler of `found` returns. */
export const lookUp = { target: undefined as unknown as SseTarget };

@Injectable()
export class Readers implements SseAuthorizer {
  authorize() {
    return authorizer.decision as boolean;
  }
}

@Injectable()
class ReadersOfAll implements SseAuthorizer {
  authorize(channel: string) {
    authorizer.asked.push(channel);
    return { user: 'one' };
  }

  authorizeAll(channels: string[]) {
    authorizer.asked.push([...channels]);
    // The list is a copy: changing it has no effect.
    channels.length = 0;
    return authorizer.decision as boolean;
  }
}

@Controller()
class ReadController {
  constructor(private readonly sse: SseService) {}

  @SseChannel('asked', { channel: fromQuery, allow: Readers })
  asked() {}

  @SseChannel('all', { channel: fromQuery, allow: ReadersOfAll })
  all() {}

  @SseChannel('listed', { channel: fromQuery, allow: ['news', 'team-{id}', 'order:{id}:items'] })
  listed() {}

  @SseChannel('returned', { allow: Readers })
  returned(@Query('channel') channel: string) {
    return channel;
  }

  @SseChannel('found', { allow: ['news', 'public'] })
  found() {
    return lookUp.target;
  }

  @SseChannel('both', { channel: fromQuery, allow: ['news'] })
  both() {
    return 'news' as never;
  }

  @SseChannel('of/:team', { channel: ({ params }) => `team-${params.team}`, allow: ['team-{id}'] })
  ofTeam() {}

  @SseChannel('granted/:id')
  @UseGuards(ChannelGuard(Readers, ({ params }) => [`order:${params.id}`, 'news']))
  granted(@GrantedChannels() granted: SseGrant) {
    return granted;
  }

  @SseChannel('granted-again')
  @UseGuards(ChannelGuard(['news'], fromQuery))
  grantedAgain(@Param() _params: unknown, @GrantedChannels() granted: SseGrant) {
    return granted;
  }

  @Sse('guarded')
  @UseGuards(ChannelGuard(Readers, fromQuery))
  guarded(@GrantedChannels() granted: SseGrant) {
    return this.sse.messages(granted);
  }
}

/** Platforms with query parsers that turn a nested query into objects. */
export const nestedQueryPlatforms = [
  ['Express', () => new ExpressAdapter()],
  ['Fastify', () => new FastifyAdapter({ routerOptions: { querystringParser: (text) => qs.parse(text) } })],
] as const;

/** Starts routes with rules. Their authorizers allow every channel until the test sets another decision. */
export async function startRules(name: string, platform: Platform) {
  const metadata = { imports: [SseModule.forRoot()], controllers: [ReadController] };
  const { app, url } = await startApp(platform, metadata, (created) => {
    if (name === 'Express') {
      (created.getHttpAdapter().getInstance() as { set(key: string, value: string): void }).set(
        'query parser',
        'extended',
      );
    }
  });
  authorizer.decision = true;
  const statusOf = async (path: string) => {
    const client = await connect(`${url}/${path}`);
    client.close();
    return client.status;
  };
  return { url, sse: app.get(SseService), statusOf };
}
