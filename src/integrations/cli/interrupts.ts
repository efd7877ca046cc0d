import { isatty } from 'node:tty';

const SIGNALS = ['SIGINT', 'SIGTERM'] as const;

/** The signals that ask this process to end, from the construction until `close()`. */
export class Interrupts {
  /** The first one. */
  signal: NodeJS.Signals | undefined;
  /** Resolves with the first one. */
  readonly first: Promise<void>;
  /** Called for each one that is to be passed on to a child process. */
  onSignal: (signal: NodeJS.Signals) => void = () => {};
  #resolve = () => {};

  constructor() {
    this.first = new Promise((resolve) => (this.#resolve = resolve));
    for (const name of SIGNALS) process.on(name, this.#hear);
  }

  close(): void {
    for (const name of SIGNALS) process.off(name, this.#hear);
  }

  readonly #hear = (signal: NodeJS.Signals): void => {
    this.signal ??= signal;
    this.#resolve();
    // Ctrl+C on a terminal goes to child processes, too. Many programs exit at once on a second one, without cleaning up.
    if (signal !== 'SIGINT' || !isatty(0)) this.onSignal(signal);
  };
}
