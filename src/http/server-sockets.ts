import { AsyncResource } from 'node:async_hooks';
import { Server } from 'node:http';
import { Server as SecureServer } from 'node:https';
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';

type AnyServer = Server | SecureServer;
type Listener = (this: AnyServer, socket: Socket) => void;

/** A request must not run in the context of the code that has ended the event stream before it on its socket. */
const ROOT = new AsyncResource('SseServerSockets');

/** Sockets that a server does not know, as it closes the others when it closes its connections. */
class Sockets {
  /** In the middle of an event stream. */
  readonly streaming = new Set<Socket>();
  /** Waiting for the next request. */
  readonly idle = new Set<Socket>();

  constructor(server: AnyServer) {
    const { streaming, idle } = this;
    const closed = { closeAllConnections: [streaming, idle], closeIdleConnections: [idle] };
    for (const name of ['closeAllConnections', 'closeIdleConnections'] as const) {
      const original = server[name].bind(server);
      server[name] = () => {
        original();
        for (const socket of closed[name].flatMap((sockets) => [...sockets])) socket.destroy();
      };
    }
  }
}

const known = new WeakMap<AnyServer, Sockets>();

function socketsOf(server: AnyServer): Sockets {
  const sockets = known.get(server) ?? new Sockets(server);
  known.set(server, sockets);
  return sockets;
}

/** The HTTP/1.1 server of a socket. A server of HTTP/2 that accepts HTTP/1 as well is none. */
export function serverOf(socket: Socket): AnyServer | undefined {
  const { server } = socket as Socket & { server?: unknown };
  return server instanceof Server || server instanceof SecureServer ? server : undefined;
}

/** From now on, the socket has an event stream that its server does not know. */
export function beginStream(socket: Socket): void {
  socket.on('error', ignore);
  socketsOf(serverOf(socket)!).streaming.add(socket);
}

export function endStream(socket: Socket): void {
  socketsOf(serverOf(socket)!).streaming.delete(socket);
}

/**
 * Keeps a socket for its next request, which its server gets, as after other responses; or closes it.
 *
 * The server gets it with the first bytes of the request: its time-outs for requests begin then.
 *
 * @param unread bytes that have arrived already
 */
export function giveBack(socket: Socket, unread: Buffer | undefined): void {
  const server = serverOf(socket)!;
  // A server that counts the requests of a socket would begin again.
  if (!server.listening || Number(server.maxRequestsPerSocket) > 0 || !listenerOf(server, socket)) {
    socket.destroySoon();
    return;
  }
  socketsOf(server).idle.add(socket);
  socket.on('data', onRequest).on('end', onEnd).on('timeout', onTimeout).on('close', leave);
  if (unread) return onRequest.call(socket, unread);
  const { keepAliveTimeout, keepAliveTimeoutBuffer = 0 } = server as {
    keepAliveTimeoutBuffer?: number;
  } & AnyServer;
  // 0 is no time-out.
  socket.setTimeout(keepAliveTimeout && keepAliveTimeout + keepAliveTimeoutBuffer);
  socket.resume();
}

/** That of Node. Others of the application have had the socket already. */
function listenerOf(server: AnyServer, socket: Socket): Listener | undefined {
  const all = server.listeners(socket instanceof TLSSocket ? 'secureConnection' : 'connection');
  return all.find(({ name }) => name === 'connectionListener') as Listener | undefined;
}

// One function for all sockets: closures would cost memory for each.

function onRequest(this: Socket, bytes: Buffer): void {
  leave.call(this);
  this.off('data', onRequest)
    .off('end', onEnd)
    .off('timeout', onTimeout)
    .off('close', leave)
    .off('error', ignore);
  const server = serverOf(this)!;
  this.pause();
  this.unshift(bytes);
  this.setTimeout(server.timeout);
  ROOT.runInAsyncScope(listenerOf(server, this)!, server, this);
  this.resume();
}

function leave(this: Socket): void {
  socketsOf(serverOf(this)!).idle.delete(this);
}

function onEnd(this: Socket): void {
  this.end();
}

function onTimeout(this: Socket): void {
  this.destroy();
}

/** `close` follows. */
function ignore(): void {}
