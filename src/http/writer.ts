import type { Batch } from './batch.js';

/** Whether a listener of a response does nothing when the response ends. */
export type IsIdle = (listener: { readonly name: string }) => boolean;

/** Writes the batches of a connection: to its response, or to the socket alone once the response is let go. */
export interface Writer {
  /** Bytes that the client has not read. */
  readonly pending: number;
  /** Changes whenever the client has read something. */
  readonly progress: number;
  /** Whether the response headers are sent. */
  readonly hasBegun: boolean;
  /** Whether the client has disconnected. */
  readonly isGone: boolean;
  /** Whether the response has ended: nothing more is written. */
  readonly hasEnded: boolean;
  /** Sends the response headers. @returns false if they are sent, or cannot be */
  begin(headers?: Readonly<Record<string, string>>): boolean;
  write(batch: Batch): void;
  /** Resolves when the client has read everything written; undefined if it need not wait. */
  drained(): Promise<void> | undefined;
  end(): void;
  /** Closes the connection at once. */
  destroy(): void;
  /** The writer for the socket alone when the response is let go; undefined where the response has to be kept. */
  detached(isIdle: IsIdle): Writer | undefined;
}

/** The connection that a writer writes for. */
export interface WriterOwner {
  /** Ends the response. It must not throw. */
  complete(): void;
  /** The response has ended, or its socket is closed. Called once. */
  onClosed(): void;
}
