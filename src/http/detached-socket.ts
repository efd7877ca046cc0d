import { channel } from 'node:diagnostics_channel';
import { type IncomingMessage, Server, ServerResponse } from 'node:http';
import { Server as SecureServer } from 'node:https';
import { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { AnyResponse } from './platform.js';
import type { IsIdle } from './writer.js';

const NOTHING = Buffer.alloc(0);
/** Node's own listener of a response. */
const OWN = 'bound resOnFinish';
/** Monitors of all requests of a process. They get no event of a response that is let go. */
const finished = channel('http.server.response.finish');

type AnyServer = Server | SecureServer;

/**
 * Takes the socket of a response from Node's HTTP server, which frees its parser, as it does for an upgrade to another protocol: the
 * request is made to look like a CONNECT while the parser is called without any bytes. What keeps the response and its request then is
 * garbage: two thirds of the memory of a connection (`bench/fanout`, idle).
 *
 * It relies on nothing that Node documents, so it looks at the result: where anything is not as expected, nothing has changed, and the
 * response is to be used as before. It must not be called by the parser, so not in the call stack of an event of the server.
 *
 * @param isIdle whether a listener of the response does nothing. Others wait for its end, as access logs do, so it is kept for them
 * @returns whether the socket is the caller's now, without listeners, in the middle of a chunked body
 */
export function detach(response: AnyResponse, isIdle: IsIdle): boolean {
  const { req: request, socket } = response;
  const server = socket?.writable && serverOf(socket);
  if (!server || !isUnobserved(response, request, isIdle) || finished.hasSubscribers) return false;
  // Another listener would take the request for a real CONNECT. With other listeners of `data`, it is not known what reads the socket.
  if (server.listenerCount('connect') > 0 || socket.listenerCount('data') !== 1) return false;
  let isTaken = false;
  const take = (taken: IncomingMessage) => (isTaken = taken === request);
  const { method, upgrade } = request as IncomingMessage & { upgrade?: unknown };
  server.on('connect', take);
  Object.assign(request, { method: 'CONNECT', upgrade: true });
  try {
    socket.emit('data', NOTHING);
  } catch {
    // A paused parser: Node asserts that it is not.
  } finally {
    server.off('connect', take);
    Object.assign(request, { method, upgrade });
  }
  if (isTaken) response.detachSocket(socket);
  return isTaken;
}

/**
 * Gives a socket back to its server when its response has ended: the next request on it is served.
 *
 * @param unread bytes that have arrived since
 */
export function giveBack(socket: Socket, unread?: Buffer): void {
  const server = serverOf(socket);
  if (!server?.listening) return socket.destroySoon();
  if (unread) socket.unshift(unread);
  const forget = () => returned.delete(socket);
  returned.add(socket);
  socket.once('close', forget);
  socket.once('data', () => {
    forget();
    socket.off('close', forget);
    // The server sets its time-out with the next request only if it has set the one before.
    socket.setTimeout(server.timeout);
  });
  server.emit(socket instanceof TLSSocket ? 'secureConnection' : 'connection', socket);
  // As after every response.
  socket.setTimeout(server.keepAliveTimeout);
  socket.resume();
}

/** Sockets that wait for their next request. */
const returned = new Set<Socket>();

/**
 * Makes a server close what it does not know: sockets that it has let go, and those that it has got back, which it takes for sockets with a
 * request.
 *
 * @param closeDetached is called when it closes all connections
 */
export function closeWith(server: Partial<Server> | undefined, closeDetached: () => void): void {
  const closeReturned = () => {
    for (const socket of returned) if (serverOf(socket) === server) socket.destroy();
  };
  const closes = { closeAllConnections: closeDetached, closeIdleConnections: closeReturned };
  for (const name of ['closeAllConnections', 'closeIdleConnections'] as const) {
    const original = server?.[name]?.bind(server);
    // Servers of HTTP/2 have neither.
    if (!original) continue;
    server![name] = () => {
      original();
      closes[name]();
    };
  }
}

/** Of HTTP/1.1. A server of HTTP/2 that accepts HTTP/1 as well is none. */
function serverOf(socket: Socket): AnyServer | undefined {
  const { server } = socket as Socket & { server?: unknown };
  return server instanceof Server || server instanceof SecureServer ? server : undefined;
}

function isUnobserved(response: AnyResponse, request: IncomingMessage, isIdle: IsIdle): boolean {
  if (!request.complete || request.eventNames().length > 0) return false;
  // Middleware that replaces it, as express-session does, waits for its call.
  if (response.end !== ServerResponse.prototype.end) return false;
  const listeners = response.eventNames().flatMap((name) => response.listeners(name));
  return listeners.every((listener) => listener.name === OWN || isIdle(listener));
}
