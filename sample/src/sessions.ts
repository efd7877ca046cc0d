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

/** Who is logged in: for a demonstration, by name and without a password, and in this process's memory. */
@Injectable()
export class Sessions {
  readonly #all = new Map<string, Session>();

  /** @returns the session's cookie: it is sent with an `EventSource`, and no script can read it */
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

/** Lets in who is logged in. */
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
