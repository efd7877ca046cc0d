import { type Access, UndecidedError } from './access.js';

/** How long before the end of its credential a connection ends at most, in ms: credentials that were issued together must not end together. */
const MAX_LEAD_MS = 30_000;
/** Node fires longer timers at once. */
const MAX_TIMER_MS = 2_147_483_647;

export interface LeaseOptions {
  /** When the permission was asked for, by `Date.now()`. */
  readonly askedAt?: number;
  /** The longest time until it is asked for again. */
  readonly revalidateMs: number;
  /** Asks for it again; rejects if it is withdrawn, or the authorizer could not decide. */
  readonly renew?: () => Promise<Access>;
  readonly onRenewed?: (access: Access) => void;
  readonly onEnd: (reason: 'expired' | 'denied' | 'undecided') => void;
}

/** The permission of one connection: renews it, and ends the connection when it is lost. */
export class Lease {
  #expiry: NodeJS.Timeout | undefined;
  #renewal: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(
    access: Access,
    private readonly options: LeaseOptions,
  ) {
    const { askedAt } = options;
    this.#start(access, askedAt === undefined ? 0 : Date.now() - askedAt);
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#expiry);
    clearTimeout(this.#renewal);
  }

  /** @param agoMs how long ago the permission was asked for */
  #start(access: Access, agoMs: number): void {
    this.#expire(access);
    const { renew, revalidateMs } = this.options;
    if (!renew) return;
    const wait = revalidateMs * (0.5 + Math.random() / 2) - agoMs;
    this.#renewal = setTimeout(() => void this.#renew(renew), Math.max(0, wait)).unref();
  }

  #expire({ expiresAt }: Access): void {
    clearTimeout(this.#expiry);
    if (!expiresAt) return;
    const left = expiresAt.getTime() - Date.now();
    const wait = Math.max(0, left - Math.random() * Math.min(MAX_LEAD_MS, left / 10));
    // Several timers, if it is longer than one can be.
    const work =
      wait > MAX_TIMER_MS ? () => this.#expire({ expiresAt }) : () => this.options.onEnd('expired');
    this.#expiry = setTimeout(work, Math.min(wait, MAX_TIMER_MS)).unref();
  }

  async #renew(renew: () => Promise<Access>): Promise<void> {
    const asked = performance.now();
    let access: Access;
    try {
      access = await renew();
    } catch (error) {
      if (!this.#stopped) this.options.onEnd(error instanceof UndecidedError ? 'undecided' : 'denied');
      return;
    }
    if (this.#stopped) return;
    this.options.onRenewed?.(access);
    this.#start(access, performance.now() - asked);
  }
}
