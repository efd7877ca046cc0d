import type { Liveness } from './liveness.js';

/** How long channels that are live wait for others of their stream, in ms. */
const GATHER_MS = 1_000;

/**
 * Opens the channels of a stream: all at once when all are live. If some are not for a second, as on a master that is gone, it opens
 * the others without them, and them as they come to life.
 */
export class Opening<T extends Liveness> {
  #left: readonly T[];
  #timer: NodeJS.Timeout | undefined;
  #forget = () => {};
  #finish = () => {};
  /** Resolves once all are open. */
  readonly done: Promise<void>;

  /** Without `open`, it waits until all channels are live at the same time. */
  constructor(
    channels: readonly T[],
    private readonly open?: (channels: readonly T[]) => void,
  ) {
    this.#left = channels;
    this.done = new Promise((resolve) => (this.#finish = resolve));
    this.#await();
    if (open && this.#left.length > 1) {
      this.#timer = setInterval(() => this.#openSome(), GATHER_MS).unref();
    }
  }

  cancel(): void {
    this.#left = [];
    this.#forget();
    clearInterval(this.#timer);
  }

  /** For one that is not live, and then for the next one. */
  #await(): void {
    this.#forget();
    const late = this.#left.find(({ live }) => !live);
    if (late) {
      this.#forget = late.whenLive(() => this.#await());
      return;
    }
    const left = this.#left;
    this.cancel();
    if (left.length > 0) this.open?.(left);
    this.#finish();
  }

  #openSome(): void {
    const live = this.#left.filter((channel) => channel.live);
    if (live.length === 0) return;
    this.#left = this.#left.filter((channel) => !live.includes(channel));
    this.open!(live);
    this.#await();
  }
}
