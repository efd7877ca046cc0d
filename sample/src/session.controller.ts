import { BadRequestException, Body, Controller, HttpCode, Post, Req, Res, UseGuards } from '@nestjs/common';
import { SseService } from 'nestjs-sse-channels';
import { JsonOnly } from './json-only.guard.js';
import { SessionGuard, type SessionRequest, Sessions } from './sessions.js';

@Controller()
export class SessionController {
  constructor(
    private readonly sse: SseService,
    private readonly sessions: Sessions,
  ) {}

  @Post('login')
  @HttpCode(204)
  @UseGuards(JsonOnly)
  login(
    @Body() body: { user?: unknown } | undefined,
    @Res({ passthrough: true }) response: { setHeader(name: string, value: string): void },
  ): void {
    const user = body?.user;
    if (typeof user !== 'string' || user === '') throw new BadRequestException('Expected a `user`');
    response.setHeader('Set-Cookie', this.sessions.open(user));
  }

  @Post('logout')
  @HttpCode(204)
  @UseGuards(SessionGuard)
  async logout(@Req() { session }: SessionRequest): Promise<void> {
    // The right first: a stream that is ended asks again.
    this.sessions.closeAllOf(session.user);
    await this.sse.disconnect({ user: session.user });
  }
}
