import type { Liveness } from './liveness.js';

/** How long live channels wait for the other channels of their connection, in ms. */
const GATHER_MS = 1_000;

/**
 * Opens the channels of a connection, all at once when all are live. If some channels are not live within a second, for example because
 * their Redis master is down, it opens the live ones first and the others later.
 */
export class Opening<T extends Pick<Liveness, 'live' | 'whenLive'>> {
  #left: readonly T[];
  #timer: NodeJS.Timeout | undefined;
  #forget = () => {};
  #finish = () => {};
  /** Resolves once all channels are open. */
  readonly done: Promise<void>;

  /** @param open opens the given channels. Without it, nothing is opened and `done` waits until all channels are live at once */
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

  /** Waits for one channel after the other: a callback per channel and connection would take much memory. */
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
