/** The names of a channel's keys and of its Pub/Sub channel in Redis. */
export class RedisNames {
  /** @param sharded whether Pub/Sub is sharded: its channel then has to be in the slot of the keys */
  constructor(
    private readonly prefix: string,
    private readonly sharded: () => boolean,
  ) {}

  /** In a cluster, the hash tag keeps all keys of a channel in one slot. */
  key(channel: string, name: string): string {
    return `${this.prefix}{${channel}}:${name}`;
  }

  /** Only the keys that a script needs: while a slot migrates, Redis rejects a command if one of its keys has not moved yet. */
  keys(channel: string, withIds = false): string[] {
    const names = withIds ? ['history', 'meta', 'ids', 'ids:old'] : ['history', 'meta'];
    return names.map((name) => this.key(channel, name));
  }

  /** The Pub/Sub channel of a channel. */
  live(channel: string): string {
    return this.prefix + (this.sharded() ? `{${channel}}` : channel);
  }

  /** The command that sends to it. */
  get command(): 'PUBLISH' | 'SPUBLISH' {
    return this.sharded() ? 'SPUBLISH' : 'PUBLISH';
  }
}
