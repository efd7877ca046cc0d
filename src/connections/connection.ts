import type { Access, ConnectionSource } from './access.js';
import type { Reader } from './disconnection.js';
import type { Lease } from './lease.js';

/** How long a client may take to read the rest of its response when its connection is closed. */
export const END_MS = 1_000;

/** An open connection, as `SseService.connections()` shows it. */
export interface SseConnection extends ConnectionSource {
  /** For `disconnect({ connection })`. Unique across nodes; a reconnection gets a new one. */
  readonly id: string;
  /** In canonical form. */
  readonly channels: readonly string[];
  /** As text, if one is known. With several, the first. */
  readonly user?: string;
  /** When it was accepted. */
  readonly since: Date;
  /** When its credential expires, if that is known. */
  readonly expiresAt?: Date;
}

/**
 * Why a connection has ended:
 * - `client`: the client or its network has closed it;
 * - `ended`: the stream has ended, and the client has all of it;
 * - `disconnect`: `SseService.disconnect()`;
 * - `expired`: its credential has expired;
 * - `denied`: an authorizer has withdrawn the permission;
 * - `undecided`: an authorizer failed, or did not decide in time, when it was asked again;
 * - `slow`: the client did not read;
 * - `age`: `maxConnectionAgeMs`;
 * - `shutdown`: the application shuts down;
 * - `error`: a filter has thrown, or another error was logged.
 */
export type SseEndReason =
  | 'client'
  | 'ended'
  | 'disconnect'
  | 'expired'
  | 'denied'
  | 'undecided'
  | 'slow'
  | 'age'
  | 'shutdown'
  | 'error';

/** A connection that has ended. */
export interface SseConnectionEnd extends SseConnection {
  /** Why it has ended. */
  readonly reason: SseEndReason;
}

/** The HTTP response of an `@SseChannel()` connection. Those of `messages()` have none: Nest writes their responses. */
export interface ConnectionResponse {
  /** Unread bytes. */
  readonly pending: number;
  /** Changes whenever the client has read something. */
  readonly progress: number;
  /** Resolves when the response is closed. */
  closed(): Promise<void>;
  heartbeat(): void;
  /** Disconnects a client that does not read. */
  disconnectSlow(): void;
  destroy(): void;
}

/** A connection before it is accepted: its channels, its permission, and how to end it. */
export interface Connection {
  readonly channels: readonly string[];
  readonly access: Access;
  /** When the permission was asked for. @default now */
  readonly askedAt?: number;
  /** Whether the client sent a last event id. */
  readonly resumes: boolean;
  readonly source?: ConnectionSource;
  /** Its HTTP/2 session. */
  readonly http2Session?: object;
  readonly response?: ConnectionResponse;
  /** Asks for the permission again; rejects if it is withdrawn. */
  readonly renew?: () => Promise<Access>;
  /** Called when events may be sent: at once, or when this node knows all disconnections. */
  begin?(): void;
  /** @param retryMs after how long the client may reconnect. @default `retryMs` of the module, with jitter */
  end(retryMs?: number): void;
}

/** A connection that was accepted. */
export interface OpenConnection extends Reader {
  readonly id: string;
  /** Counts the connections of the node. */
  readonly number: number;
  readonly since: number;
  /** When it reaches its age, by the clock of `performance`. */
  readonly dueAt: number;
  readonly source?: ConnectionSource;
  readonly response?: ConnectionResponse;
  lease?: Lease;
  hasBegun?: true;
  /** Why it ends, once that is known. */
  reason?: SseEndReason;
  readonly connection: Connection;
}

export function describe({ id, channels, users, since, source, access }: OpenConnection): SseConnection {
  const { expiresAt } = access;
  return { id, channels, user: users[0], since: new Date(since), ...source, expiresAt };
}
