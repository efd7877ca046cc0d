import {
  type CanActivate,
  Controller,
  type ExecutionContext,
  Injectable,
  Param,
  Sse,
  UnauthorizedException,
  UseGuards,
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
import { type Platform, startApp } from './app.js';
import { connect } from './client.js';

export interface UserRequest {
  headers: Record<string, string | undefined>;
  user?: string;
}

/** Sets the user of a request. */
@Injectable()
export class SessionGuard implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    const request = context.switchToHttp().getRequest<UserRequest>();
    request.user = /session=(\w+)/.exec(request.headers.cookie ?? '')?.[1];
    if (!request.user) throw new UnauthorizedException();
    return true;
  }
}

/** The decisions of the authorizer, which a test sets. */
@Injectable()
export class Answers {
  /** @returns any value, including mistakes */
  of: (user: string, channel: string) => unknown = (user) => ({ user });
}

@Injectable()
class Readers implements SseAuthorizer {
  constructor(private readonly answers: Answers) {}

  authorize(channel: string, context: ExecutionContext): SseAccess | Promise<SseAccess> {
    const { user = '' } = context.switchToHttp().getRequest<UserRequest>();
    return this.answers.of(user, channel) as SseAccess;
  }
}

@Controller()
class ReadController {
  constructor(private readonly sse: SseService) {}

  @SseChannel('asked', { channel: fromQuery, allow: Readers })
  @UseGuards(SessionGuard)
  asked() {}

  @Sse('guarded')
  @UseGuards(SessionGuard, ChannelGuard(Readers, fromQuery))
  guarded(@GrantedChannels() allowed: SseGrant, @LastEventId() lastEventId?: string) {
    return this.sse.messages(allowed, { lastEventId });
  }

  @SseChannel('named/:user')
  named(@Param('user') user: string) {
    return { channel: 'a', user };
  }
}

/** Routes whose clients name their user, and whose authorizer decides as the test sets it. */
export const routes = ['asked', 'guarded'] as const;

export async function startReaders(platform: Platform, options: object = {}) {
  const { app, url } = await startApp(platform, {
    imports: [SseModule.forRoot(options)],
    controllers: [ReadController],
    providers: [Readers, Answers],
  });
  const read = (path: string, user: string, headers = {}) =>
    connect(`${url}/${path}`, { cookie: `session=${user}`, ...headers });
  return { app, url, sse: app.get(SseService), answers: app.get(Answers), read };
}
