import type { Server } from 'node:http';
import type { ServerHttp2Session } from 'node:http2';
import { Injectable, type OnModuleInit } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { refuseQueuedStreams } from './pipelining.js';

/** The HTTP server of the application, if it has one. */
@Injectable()
export class HttpServer implements OnModuleInit {
  readonly #sessions = new Set<ServerHttp2Session>();

  constructor(private readonly host: HttpAdapterHost) {}

  onModuleInit(): void {
    this.#server?.on('request', refuseQueuedStreams);
    this.#server?.on('session', (session: ServerHttp2Session) => {
      this.#sessions.add(session);
      session.once('close', () => this.#sessions.delete(session));
    });
  }

  /** Frees the port; open connections stay. Closing the server again, as Nest does later, is no error. */
  stopListening(): void {
    if (this.#server?.listening) this.#server.close();
  }

  /** HTTP/2: closes each session when its requests are served. Node before 24 waits for clients to do so. */
  closeSessions(): void {
    for (const session of this.#sessions) session.close();
  }

  get #server(): Server | undefined {
    return this.host.httpAdapter?.getHttpServer() as Server | undefined;
  }
}
