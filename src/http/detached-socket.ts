import { channel } from 'node:diagnostics_channel';
import { type IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { isNativeError } from 'node:util/types';
import type { AnyResponse } from './platform.js';
import { serverOf } from './server-sockets.js';
import type { IsIdle } from './writer.js';

const NOTHING = Buffer.alloc(0);
/** Node's own listener of a response. */
const OWN = 'bound resOnFinish';
/** Monitors of all requests of a process. They get no event of a detached response. */
const finished = channel('http.server.response.finish');
/** Middleware replaces these to act on a response: express-session, for one, waits for the call of `end()`. */
const METHODS = ['writeHead', 'write', 'end', 'destroy', 'emit'] as const;

/** @see node:_http_common */
interface Parser {
  finish?(): unknown;
}

/**
 * Takes the socket of a response from Node's HTTP server, which frees its parser, as it does for an upgrade to another protocol: the
 * request is made to look like a CONNECT while the parser is called without any bytes. Nothing refers to request and response then: two
 * thirds of the memory of a connection (`bench/fanout`, idle).
 *
 * It relies on internals of Node, so it looks at the result: where anything is not as expected, nothing has changed, and the
 * response is to be used as before. It must not be called by the parser, so not in the call stack of an event of the server.
 *
 * @param isIdle whether a listener of the response does nothing. Others wait for its end, as access logs do, so it is kept for them
 * @returns whether the socket is the caller's now, without listeners, in the middle of a chunked body
 */
export function detach(response: AnyResponse, isIdle: IsIdle): boolean {
  const { req: request, socket } = response;
  const server = socket?.writable && serverOf(socket);
  if (!server || response.writableEnded || response.destroyed) return false;
  if (!isUnobserved(response, request, isIdle) || finished.hasSubscribers) return false;
  // Another listener would take the request for a real CONNECT. With other listeners of `data`, it is not known what reads the socket.
  if (server.listenerCount('connect') > 0 || socket.listenerCount('data') !== 1) return false;
  // The beginning of the next request would be lost with the parser.
  if (isAmidRequest(socket)) return false;
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

function isUnobserved(response: AnyResponse, request: IncomingMessage, isIdle: IsIdle): boolean {
  if (!request.complete || request.eventNames().length > 0) return false;
  if (METHODS.some((name) => response[name] !== ServerResponse.prototype[name])) return false;
  return response
    .eventNames()
    .every((name) => response.listeners(name).every((listener) => listener.name === OWN || isIdle(listener)));
}

/** Whether the parser has a part of a request, at which the end of the input would be an error; or cannot say so. */
function isAmidRequest(socket: Socket): boolean {
  const { parser } = socket as Socket & { parser?: Parser | null };
  return !parser?.finish || isNativeError(parser.finish());
}
