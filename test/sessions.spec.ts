import { createRequire } from 'node:module';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { Controller, Post, Req } from '@nestjs/common';
import { ExpressAdapter } from '@nestjs/platform-express';
import { SseChannel, SseModule, SseService } from 'nestjs-sse-channels';
import { startApp } from './support/app.js';
import { connect } from './support/client.js';
import { until } from './support/until.js';

interface SessionRequest {
  sessionID: string;
  session: { user?: string; destroy(callback: () => void): void };
}
interface Sessions {
  (options: object): (...args: never[]) => void;
  MemoryStore: new () => { all(callback: (error: unknown, sessions: object) => void): void };
}
// Its types are in a separate package.
const session = createRequire(join(process.cwd(), 'test/'))('express-session') as Sessions;

@Controller()
class LoginController {
  constructor(private readonly sse: SseService) {}

  @Post('login')
  login(@Req() request: SessionRequest) {
    request.session.user = 'ann';
  }

  @Post('logout')
  async logout(@Req() request: SessionRequest) {
    const { sessionID } = request;
    await new Promise<void>((resolve) => request.session.destroy(resolve));
    await this.sse.disconnect({ session: sessionID });
  }

  @SseChannel('feed')
  feed(@Req() { sessionID, session: { user } }: SessionRequest) {
    return { channel: 'a', user, session: sessionID };
  }
}

describe('A logout with express-session', () => {
  const logout = async (resave: boolean) => {
    const store = new session.MemoryStore();
    const { app, url } = await startApp(
      () => new ExpressAdapter(),
      { imports: [SseModule.forRoot()], controllers: [LoginController] },
      (made) => made.use(session({ secret: 'x', resave, saveUninitialized: false, store })),
    );
    const post = (path: string, cookie = '') =>
      fetch(`${url}/${path}`, { method: 'POST', headers: { cookie, connection: 'close' } });
    const cookie = (await post('login')).headers.get('set-cookie')!.split(';')[0]!;
    const client = await connect(`${url}/feed`, { cookie });
    await until(() => app.get(SseService).connections().length === 1);
    await post('logout', cookie);
    await until(() => client.ended && app.get(SseService).connections().length === 0);
    return new Promise((resolve) => {
      store.all((_, sessions) => resolve(Object.keys(sessions).length));
    });
  };

  it('stays in effect with `resave: false`, although connections of the session end after it', async () => {
    expect(await logout(false)).toBe(0);
  });

  it('is undone by `resave: true`, as docs/access.md says: the end of a connection saves the session again', async () => {
    expect(await logout(true)).toBe(1);
  });
});
