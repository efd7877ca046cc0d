import {
  BadRequestException,
  Body,
  Controller,
  Get,
  HttpCode,
  Post,
  Req,
  Res,
  UseGuards,
} from '@nestjs/common';
import { SseService } from 'nestjs-sse-channels';
import { JsonOnly } from './json-only.guard.js';
import { SessionGuard, type SessionRequest, Sessions } from './sessions.js';

@Controller()
export class SessionController {
  constructor(
    private readonly sse: SseService,
    private readonly sessions: Sessions,
  ) {}

  @Get('session')
  session(@Req() { headers }: SessionRequest) {
    return { user: this.sessions.find(headers.cookie)?.user ?? null };
  }

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
    // First the session: the client of an ended connection reconnects.
    this.sessions.closeAllOf(session.user);
    await this.sse.disconnect({ user: session.user });
  }
}
