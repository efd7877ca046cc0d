import { randomUUID } from 'node:crypto';
import { type CanActivate, type ExecutionContext, Injectable, UnauthorizedException } from '@nestjs/common';

export interface Session {
  user: string;
  issuedAt: Date;
}

export interface SessionRequest {
  headers: { cookie?: string };
  session: Session;
}

/** The sessions of logged-in users. A demonstration asks for no password, and keeps them in the memory of the node. */
@Injectable()
export class Sessions {
  readonly #all = new Map<string, Session>();

  /** @returns the session's cookie: an `EventSource` sends it, and no script can read it */
  open(user: string): string {
    const id = randomUUID();
    this.#all.set(id, { user, issuedAt: new Date() });
    return `session=${id}; HttpOnly; SameSite=Lax; Path=/`;
  }

  find(cookie = ''): Session | undefined {
    return this.#all.get(/(?:^|; )session=([^;]+)/.exec(cookie)?.[1] ?? '');
  }

  closeAllOf(user: string): void {
    for (const [id, session] of this.#all) {
      if (session.user === user) this.#all.delete(id);
    }
  }
}

/** Answers 401 without a session. */
@Injectable()
export class SessionGuard implements CanActivate {
  constructor(private readonly sessions: Sessions) {}

  canActivate(context: ExecutionContext): boolean {
    const request = context.switchToHttp().getRequest<SessionRequest>();
    const session = this.sessions.find(request.headers.cookie);
    if (!session) throw new UnauthorizedException();
    request.session = session;
    return true;
  }
}
