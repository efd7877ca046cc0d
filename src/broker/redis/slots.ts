import calculateSlot from 'cluster-key-slot';
import type { ClusterOptions } from 'ioredis';

const SLOTS = 16_384;
const REDIRECTION = /^(MOVED|ASK) (\d+) (\S*):(\d+)/;

/** What CLUSTER SLOTS answers: ranges of slots, each with its master first. */
export type SlotsReply = [
  first: number,
  last: number,
  master: [host: string | null, port: number],
  ...replicas: unknown[],
][];

/** An answer that names another server for a slot: permanently (MOVED), or for this one command (ASK). */
export interface Redirection {
  readonly kind: 'MOVED' | 'ASK';
  readonly address: string;
}

/** Which master has which of the 16,384 slots of a cluster. An address is `host:port`, as this process reaches it. */
export class RedisSlots {
  #owners: (string | undefined)[] = Array<undefined>(SLOTS).fill(undefined);
  #masters: ReadonlySet<string> = new Set();
  #version = 0;

  constructor(private readonly natMap: ClusterOptions['natMap']) {}

  /** Increases with every change. */
  get version(): number {
    return this.#version;
  }

  /** Whether every slot has a master. */
  get areComplete(): boolean {
    return !this.#owners.includes(undefined);
  }

  /** All masters with slots. */
  get masters(): ReadonlySet<string> {
    return this.#masters;
  }

  /** The master of a key; undefined while it is not known. */
  ownerOf(key: string): string | undefined {
    return this.#owners[calculateSlot(key)];
  }

  /**
   * Replaces the table by the answer of a server. A server without slots has left the cluster, or has not joined it yet.
   *
   * @param asked the address of the server
   * @returns whether the answer could be used
   */
  take(reply: SlotsReply, asked: string): boolean {
    if (reply.length === 0) return false;
    const owners = Array<string | undefined>(SLOTS).fill(undefined);
    for (const [first, last, [host, port]] of reply) {
      owners.fill(this.#mapped(`${host || hostOf(asked)}:${port}`), first, last + 1);
    }
    if (owners.every((owner, slot) => owner === this.#owners[slot])) return true;
    this.#owners = owners;
    this.#masters = new Set(owners.filter((owner) => owner !== undefined));
    this.#version++;
    return true;
  }

  redirectionIn(error: Error | undefined): Redirection | undefined {
    const [, kind, slot, host, port] = (error && REDIRECTION.exec(error.message)) ?? [];
    if (kind === undefined) return undefined;
    // A server that does not know its own host leaves it out.
    const address = this.#mapped(`${host || hostOf(this.#owners[Number(slot)] ?? '')}:${port}`);
    return { kind: kind as Redirection['kind'], address };
  }

  #mapped(address: string): string {
    const mapped = typeof this.natMap === 'function' ? attempt(this.natMap, address) : this.natMap?.[address];
    return mapped ? `${mapped.host}:${mapped.port}` : address;
  }
}

const hostOf = (address: string): string => address.slice(0, address.lastIndexOf(':'));

/** The application's function may throw for a server that it does not know: then the address stays as it is. */
function attempt<T>(map: (address: string) => T, address: string): T | undefined {
  try {
    return map(address);
  } catch {
    return undefined;
  }
}
