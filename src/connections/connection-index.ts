import type { OpenConnection } from './connection.js';
import { applies, type CheckedDisconnectTarget } from './disconnection.js';

/** The open connections, indexed by all that a disconnection can name: a search does not take longer with more connections. */
export class ConnectionIndex {
  readonly #byId = new Map<string, OpenConnection>();
  readonly #byUser = new Groups<OpenConnection>();
  readonly #bySession = new Groups<OpenConnection>();
  readonly #byChannel = new Groups<OpenConnection>();

  get size(): number {
    return this.#byId.size;
  }

  has({ id }: OpenConnection): boolean {
    return this.#byId.has(id);
  }

  add(connection: OpenConnection): void {
    this.#byId.set(connection.id, connection);
    this.#group('add', connection);
  }

  /** Changes the user and session of a connection. */
  update(connection: OpenConnection, reader: Pick<OpenConnection, 'users' | 'sessions' | 'access'>): void {
    this.#group('delete', connection);
    Object.assign(connection, reader);
    this.#group('add', connection);
  }

  /** @returns whether it was open */
  delete(connection: OpenConnection): boolean {
    this.#group('delete', connection);
    return this.#byId.delete(connection.id);
  }

  /** The connections that match all fields of the target. */
  find(target: CheckedDisconnectTarget): OpenConnection[] {
    const { user, session, channel, connection: id } = target;
    const found = id === undefined ? [] : [this.#byId.get(id)];
    const groups = [this.#byUser.of(user), this.#bySession.of(session), this.#byChannel.of(channel)];
    const [smallest] = groups.filter((group) => group !== undefined).toSorted((a, b) => a.size - b.size);
    return [...(id === undefined && smallest ? smallest : found)].filter(
      (one): one is OpenConnection => one !== undefined && applies(target, one),
    );
  }

  countOfUser(user: string): number {
    return this.#byUser.of(user)!.size;
  }

  [Symbol.iterator](): Iterator<OpenConnection> {
    return this.#byId.values();
  }

  #group(change: 'add' | 'delete', connection: OpenConnection): void {
    const { users, sessions, channels } = connection;
    for (const user of users) this.#byUser[change](user, connection);
    for (const session of sessions) this.#bySession[change](session, connection);
    for (const channel of channels) this.#byChannel[change](channel, connection);
  }
}

const NONE: ReadonlySet<never> = new Set<never>();

/** Connections by name. Most names have one connection, which is stored without a set. */
class Groups<T> {
  readonly #groups = new Map<string, T | Set<T>>();

  /** Undefined without a name. */
  of(name: string | undefined): ReadonlySet<T> | undefined {
    if (name === undefined) return undefined;
    const group = this.#groups.get(name);
    if (group === undefined) return NONE;
    return group instanceof Set ? group : new Set([group]);
  }

  add(name: string, connection: T): void {
    const group = this.#groups.get(name);
    if (group instanceof Set) group.add(connection);
    else this.#groups.set(name, group === undefined ? connection : new Set([group, connection]));
  }

  delete(name: string, connection: T): void {
    const group = this.#groups.get(name);
    if (group instanceof Set) {
      group.delete(connection);
      if (group.size === 0) this.#groups.delete(name);
    } else if (group === connection) this.#groups.delete(name);
  }
}
