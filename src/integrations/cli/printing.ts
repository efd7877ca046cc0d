import type { ChannelEvent } from '../../channel/channel-event.js';
import { compact } from '../../event/json.js';
import { encodeEvent } from '../../http/frame.js';
import { print } from './terminal.js';

/** How long the program may take to exit after an interrupt, in ms. */
const EXIT_MS = 2_000;

/** How a command prints events, and ends. */
export interface Output {
  readonly write: (text: string) => void;
  readonly end: () => void;
  readonly fail: (error: Error) => void;
}

/** Why the printing has ended: the command has ended it; a reader such as `head` has closed the pipe; an interrupt. */
export type PrintingEnd = 'ended' | 'closed' | NodeJS.Signals;

/** The text of an event: as text/event-stream, or as JSON on a line. */
export const formatOf = (asJson = false): ((event: ChannelEvent) => string) =>
  asJson ? jsonLine : ({ event, json }) => encodeEvent(event, json);

/**
 * Prints until the command ends it, or fails.
 *
 * @param begin subscribes, and returns a function that unsubscribes
 */
export async function printing(begin: (output: Output) => () => void): Promise<PrintingEnd> {
  let interrupt: (signal: NodeJS.Signals) => void = () => {};
  let unsubscribe = () => {};
  try {
    return await new Promise<PrintingEnd>((resolve, reject) => {
      const write = (text: string) =>
        void print(text).catch((error: Error) =>
          (error.cause as NodeJS.ErrnoException).code === 'EPIPE' ? resolve('closed') : reject(error),
        );
      interrupt = (signal) => {
        resolve(signal);
        // Unread output must not keep the program alive.
        setTimeout(() => process.exit(), EXIT_MS).unref();
      };
      unsubscribe = begin({ write, end: () => resolve('ended'), fail: reject });
      process.once('SIGINT', interrupt).once('SIGTERM', interrupt);
    });
  } finally {
    unsubscribe();
    process.off('SIGINT', interrupt).off('SIGTERM', interrupt);
  }
}

/** An event as `JSON.stringify()` writes it, with the data as it was published. */
function jsonLine({ id, channel, json, type, retry }: ChannelEvent): string {
  const before = JSON.stringify({ id, channel }).slice(0, -1);
  const after = JSON.stringify({ type, retry }).slice(1);
  return `${before},"data":${compact(json)}${after === '}' ? after : `,${after}`}\n`;
}
