import {
  Controller,
  type ExecutionContext,
  Injectable,
  type NestInterceptor,
  Param,
  ParseIntPipe,
  Sse,
  UseGuards,
  UseInterceptors,
} from '@nestjs/common';
import {
  ChannelGuard,
  fromQuery,
  GrantedChannels,
  LastEventId,
  type SseAccess,
  type SseAuthorizer,
  SseChannel,
  type SseGrant,
  SseModule,
  SseService,
} from 'nestjs-sse-channels';
import { delay, from } from 'rxjs';
import { type Platform, startApp } from './app.js';
import { connect, type SseClient } from './client.js';
import { SessionGuard, type UserRequest } from './readers.js';

/** The decisions of the authorizer, which a test sets. */
@Injectable()
export class Rights {
  /** `user channel`, or `user *`. */
  readonly all = new Set<string>();
  readonly asked: string[] = [];
  decide: ((channel: string, user: string) => unknown) | undefined;
  access: SseAccess = {};
}

@Injectable()
class Readers implements SseAuthorizer {
  constructor(private readonly rights: Rights) {}

  authorize(channel: string, context: ExecutionContext): Promise<boolean | SseAccess> {
    const { user = '' } = context.switchToHttp().getRequest<UserRequest>();
    const { all, asked, decide, access } = this.rights;
    asked.push(`${user} ${channel}`);
    const decision = decide
      ? decide(channel, user)
      : (all.has(`${user} ${channel}`) || all.has(`${user} *`)) && { user, ...access };
    return Promise.resolve(decision as boolean);
  }
}

/** A slow interceptor of the application. With `@Sse()`, Nest sends response headers before it ends. */
const slowly: NestInterceptor = {
  intercept: (_, next) => from(next.handle()).pipe(delay(50)),
};

@Controller()
export class RightsController {
  constructor(private readonly sse: SseService) {}

  @SseChannel('listed', { channel: fromQuery, allow: ['news', 'Café'] })
  listed() {}

  @SseChannel('matched', { channel: fromQuery, allow: /team-\d+|open/g })
  matched() {}

  @SseChannel('asked', { channel: fromQuery, allow: Readers })
  @UseGuards(SessionGuard)
  asked() {}

  @SseChannel('records/:id/sse', { allow: Readers })
  @UseGuards(SessionGuard)
  record(@Param('id', ParseIntPipe) id: number) {
    return `record:${id}`;
  }

  @Sse('guarded')
  @UseGuards(SessionGuard, ChannelGuard(Readers, fromQuery))
  @UseInterceptors(slowly)
  guarded(@GrantedChannels() allowed: SseGrant, @LastEventId() lastEventId?: string) {
    return this.sse.messages(allowed, { lastEventId });
  }

  @Sse('guarded/records/:id')
  @UseGuards(SessionGuard, ChannelGuard(Readers, ({ params }) => `record:${params.id}`))
  guardedRecord(@GrantedChannels() allowed: SseGrant) {
    return this.sse.messages(allowed);
  }

  @Sse('unguarded')
  unguarded(@GrantedChannels() allowed: SseGrant) {
    return this.sse.messages(allowed);
  }

  @SseChannel('trusted/:user')
  trusted(@Param('user') user: string) {
    return { channel: 'shared', user };
  }
}

export const cookie = (user: string) => ({ cookie: `session=${user}` });
export const isSent = (client: SseClient, data: string) => () => client.text.includes(`data: ${data}`);

export type RightsApp = Awaited<ReturnType<typeof startRights>>;

export async function startRights(platform: Platform, options: object = {}) {
  const { app, url } = await startApp(platform, {
    imports: [SseModule.forRoot({ revalidateMs: 1_000, ...options })],
    controllers: [RightsController],
    providers: [Readers, Rights],
  });
  const statusOf = async (path: string, headers = {}) => {
    const client = await connect(url + path, headers);
    client.close();
    return client.status;
  };
  return { url, sse: app.get(SseService), rights: app.get(Rights), statusOf };
}
