/**
 * A channel with typed events, as a definition of `defineChannel()` names it: `orders({ id: 7 })`. It can be given wherever a channel is
 * expected. It is a class, so that no value from a request can pass for it.
 */
export class SseTypedChannel<Definition = unknown> {
  /** @internal */
  constructor(
    /** The name of the channel, in canonical form. */
    readonly name: string,
    /** The definition. */
    readonly definition: Definition,
  ) {
    Object.freeze(this);
  }

  /** The name of the channel. */
  toString(): string {
    return this.name;
  }

  /** The name of the channel. */
  toJSON(): string {
    return this.name;
  }
}
