import { type ClientRequest, request as httpRequest, Server } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { AddressInfo } from 'node:net';
import { Server as TlsServer } from 'node:tls';
import type { INestApplication } from '@nestjs/common';
import { inputError, SseError } from '../../common/sse.errors.js';
import type { CheckedOptions } from './collect-options.js';

/** Applications that are starting, so that two collections start an application once. */
const starting = new WeakMap<INestApplication, Promise<unknown>>();

/**
 * Sends the request of one collection, and starts the application if it does not listen yet.
 *
 * @throws SseError `SSE_INPUT` for anything but an application with HTTP/1.1
 */
export async function send(
  app: INestApplication,
  path: string,
  { headers, lastEventId }: Pick<CheckedOptions, 'headers' | 'lastEventId'>,
): Promise<ClientRequest> {
  const server = await listeningServerOf(app);
  const address = server.address() as AddressInfo | string;
  const isTls = server instanceof TlsServer;
  const host = typeof address === 'string' ? 'localhost' : hostOf(address);
  const target = {
    agent: false,
    socketPath: typeof address === 'string' ? address : undefined,
    headers: {
      accept: 'text/event-stream',
      ...headers,
      // In UTF-8, as browsers send it.
      ...(lastEventId !== undefined && { 'last-event-id': Buffer.from(lastEventId).toString('latin1') }),
    },
  };
  const url = new URL(`${isTls ? 'https' : 'http'}://${host}${path}`);
  const request = isTls
    ? httpsRequest(url, { ...target, rejectUnauthorized: false })
    : httpRequest(url, target);
  return request.end();
}

async function listeningServerOf(app: INestApplication): Promise<Server | TlsServer> {
  if (typeof (app as Partial<INestApplication> | null)?.getHttpServer !== 'function') {
    throw inputError('app', 'a Nest application, such as `module.createNestApplication()`', app);
  }
  const server: unknown = app.getHttpServer();
  if (!(server instanceof Server || server instanceof TlsServer)) {
    throw new SseError(
      'SSE_INPUT',
      'Expected `app` to speak HTTP/1.1, got an application of HTTP/2 without TLS',
    );
  }
  if (!server.listening) {
    const start = starting.get(app) ?? app.listen(0, '127.0.0.1').finally(() => starting.delete(app));
    starting.set(app, start);
    await start;
  }
  return server;
}

/** An address at which a server that listens on all addresses is reachable. */
function hostOf({ address, port, family }: AddressInfo): string {
  if (address === '::') return `[::1]:${port}`;
  if (address === '0.0.0.0') return `127.0.0.1:${port}`;
  return family === 'IPv6' ? `[${address}]:${port}` : `${address}:${port}`;
}
