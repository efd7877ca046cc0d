import type { Access, ConnectionSource } from './access.js';
import type { Reader } from './disconnection.js';
import type { Lease } from './lease.js';

/** An open connection, as `SseService.connections()` shows it. */
export interface SseConnection extends ConnectionSource {
  /** For `disconnect({ connection })`; another one on every node, and after every reconnection. */
  readonly id: string;
  /** In canonical form. */
  readonly channels: readonly string[];
  /** As text; absent where nothing has named one. Where answers name several, the first. */
  readonly user?: string;
  /** When it was accepted. */
  readonly since: Date;
  /** When its credential expires; absent where nothing says so. */
  readonly expiresAt?: Date;
}

/**
 * Why a connection has ended:
 * - `client`: the client has left, or its network;
 * - `disconnect`: `SseService.disconnect()`;
 * - `expired`: its credential;
 * - `denied`: an authorizer that was asked again says no;
 * - `undecided`: an authorizer that was asked again failed, or did not answer in time;
 * - `slow`: the client did not read;
 * - `age`: `maxConnectionAgeMs`;
 * - `shutdown`: the application ends;
 * - `error`: a filter has thrown, or something else that is logged.
 */
export type SseEndReason =
  'client' | 'disconnect' | 'expired' | 'denied' | 'undecided' | 'slow' | 'age' | 'shutdown' | 'error';

/** A connection that has ended. */
export interface SseConnectionEnd extends SseConnection {
  readonly reason: SseEndReason;
}

/** A connection before it is accepted: what it reads, by which permission, and how it is ended. */
export interface Connection {
  readonly channels: readonly string[];
  readonly access: Access;
  /** When the permission was asked for. @default now */
  readonly askedAt?: number;
  /** Whether the client sent a last event id. */
  readonly resumes: boolean;
  readonly source?: ConnectionSource;
  /** The HTTP/2 session that it is a stream of. */
  readonly http2Session?: object;
  /** Asks again for the permission; rejects where it is withdrawn. */
  readonly renew?: () => Promise<Access>;
  /** Called when events may be sent: at once, or when this node knows all disconnections. */
  begin?(): void;
  /** @param retryMs after how long the client may reconnect. @default `retryMs` of the module, with jitter */
  end(retryMs?: number): void;
}

/** A connection that was accepted. */
export interface OpenConnection extends Reader {
  readonly id: string;
  readonly since: number;
  readonly source?: ConnectionSource;
  lease?: Lease;
  hasBegun?: true;
  /** Makes room for others. */
  leave(): void;
  reason?: SseEndReason;
  end(retryMs?: number): void;
}

export function describe({ id, channels, users, since, source, access }: OpenConnection): SseConnection {
  const { expiresAt } = access;
  return { id, channels, user: users[0], since: new Date(since), ...source, expiresAt };
}
