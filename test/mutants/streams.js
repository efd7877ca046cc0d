const SPEC = 'test/streams.spec.ts';
const OWNER_SPEC = 'test/streams.owner.spec.ts';
const ABORT_SPEC = 'test/streams.abort.spec.ts';
const OUTAGE_SPEC = 'test/streams.outage.spec.ts';
const BOUNDS_SPEC = 'test/streams.bounds.spec.ts';
const WRITER_SPEC = 'test/streams.writer.spec.ts';
const ACCESS_SPEC = 'test/streams.access.spec.ts';

const owned = { file: 'src/streams/owned-stream.ts' };
const packs = { file: 'src/streams/packs.ts', tests: ['src/streams/packs.spec.ts'] };
const reader = { file: 'src/streams/stream-reader.ts', tests: [SPEC] };
const service = { file: 'src/streams/sse-streams.service.ts' };

/** The producers and the readers of streams. */
export const streams = [
  {
    ...owned,
    guard: 'the signal of a producer is aborted when its lease has expired, also without Redis',
    find: `if (performance.now() - this.#leasedAt > leaseMs) return`,
    replace: `if (false) return`,
    tests: [`${OUTAGE_SPEC} › hangs for longer than the lease`],
  },
  {
    ...owned,
    guard: 'the signal of a replaced producer is aborted',
    find: `state.owner !== owner`,
    replace: `false`,
    tests: [`${OWNER_SPEC} › on Express replaces it`],
  },
  {
    ...owned,
    guard: 'a lease is renewed while nothing is written',
    find: `>= period && this.renew()`,
    replace: `>= period && undefined`,
    tests: [`${ABORT_SPEC} › where the owner gets no messages`],
  },
  {
    ...owned,
    guard: 'an end is stored after everything that was written',
    find: `this.#end !== undefined && this.#packs.hasOnly(packs.length)`,
    replace: `this.#end !== undefined`,
    tests: [`${WRITER_SPEC} › on Redis may write more`],
  },
  {
    ...owned,
    guard: 'maxBytes ends a stream',
    find: `this.#bytes > this.ownership.options.maxBytes`,
    replace: `false`,
    tests: [`${BOUNDS_SPEC} › exceed maxBytes`],
  },
  {
    ...packs,
    guard: 'a pack that was sent takes no more events',
    find: `!pack || pack.isSealed || `,
    replace: `!pack || `,
  },
  {
    ...packs,
    guard: 'a pack is bounded by its size',
    find: ` || pack.size + event.length > PACK_SIZE`,
    replace: '',
  },
  {
    ...reader,
    guard: 'a reader gets no event of another program',
    find: `!event.isStored || `,
    replace: '',
    tests: [`${SPEC} › on Redis gets no event of a publisher`],
  },
  {
    ...reader,
    guard: 'a connection ends with the stream',
    find: `    if (event.type === END_TYPE) this.#finish();\n`,
    replace: '',
    tests: [`${SPEC} › in memory is delivered from`],
  },
  {
    ...reader,
    guard: 'a client that has the end gets 204',
    find: `state.end !== undefined && lastEventId === state.tip`,
    replace: `false`,
    tests: [`${SPEC} › in memory is answered with 204 after`],
  },
  {
    ...reader,
    guard: 'a stream is replayed whatever its length',
    find: `readonly isUnbounded = true`,
    replace: `readonly isUnbounded = false`,
    tests: [`${SPEC} › in memory delivers more events`],
  },
  {
    file: 'src/streams/stream-watches.ts',
    guard: 'the store is asked when a lease should have been renewed',
    find: `watch.timer ??= this.#later(`,
    replace: `watch.timer ??= (() => undefined)(`,
    tests: [`${OWNER_SPEC} › is killed ends as lost for every reader`],
  },
  {
    file: 'src/streams/stream-watches.ts',
    guard: 'an end whose message was lost is read',
    find: `if (state !== 'failed' && state.end) this.channels.catchUp`,
    replace: `if (false) this.channels.catchUp`,
    tests: [`${OUTAGE_SPEC} › whose end gets lost`],
  },
  {
    ...service,
    guard: 'a request is answered with `stopped` only if the owner has ended it for that',
    find: `state.end.status === 'aborted' && state.end.reason === asked.abort`,
    replace: `true`,
    tests: [`${ABORT_SPEC} › is not answered with`],
  },
  {
    ...service,
    guard: 'a live stream is not started again',
    find: `stream instanceof OwnedStream || options.attach`,
    replace: `true`,
    tests: [`${OWNER_SPEC} › on Express at the same moment`],
  },
  {
    file: 'src/streams/sse-stream-writer.ts',
    guard: 'a source that waits is cancelled',
    find: `if (!isDone) Promise.resolve(iterator.return?.())`,
    replace: `if (false) Promise.resolve(iterator.return?.())`,
    tests: [`${WRITER_SPEC} › in memory has its source cancelled`],
  },
  {
    file: 'src/streams/sse-stream-writer.ts',
    guard: 'pipe() waits above 1 MiB',
    find: `if (this.stream.isFull) await this.ready;`,
    replace: '',
    tests: [`${OUTAGE_SPEC} › waits in pipe`],
  },
  {
    file: 'src/routes/channel.guard.ts',
    guard: 'a stop is not answered as if it were done while the authorizer fails',
    find: `if (!delivers) throw new ServiceUnavailableException();`,
    replace: '',
    tests: [`${ACCESS_SPEC} › on Express is decided by the guard`],
  },
  {
    file: 'src/sse.module.ts',
    guard: 'producers have the drain to end',
    find: `signal === undefined ? 0 : this.options.drainMs`,
    replace: `0`,
    tests: [`${OWNER_SPEC} › gets SIGTERM is done`],
  },
  {
    ...reader,
    guard: 'a reader gets no event twice after a failover',
    find: `event.prev !== this.#position`,
    replace: `false`,
    tests: [`${OUTAGE_SPEC} › has lost its last packs`],
  },
  {
    ...reader,
    guard: 'a reader of evicted events is not reset for ever',
    find: `if (state.generation === this.#resetGeneration) return`,
    replace: `if (false) return`,
    tests: [`${OUTAGE_SPEC} › which Redis has evicted`],
  },
  {
    file: 'src/streams/stream-watches.ts',
    guard: 'readers end when the state of their stream is gone',
    find: `if (isLost) return void Array.from(watch.readers, (onLost) => onLost());`,
    replace: `if (isLost) return;`,
    tests: [`${OUTAGE_SPEC} › Redis has evicted its state`],
  },
  {
    ...owned,
    guard: 'a request to stop is found also while a call is in flight',
    find: `    this.#isAsked = this.#isSending;\n`,
    replace: '',
    tests: [`${ABORT_SPEC} › takes less than a second also while`],
  },
  {
    file: 'src/routes/sse-stream.interceptor.ts',
    guard: 'a rule decides before a stream is started',
    find: `await this.authorization.grant({ check, authorizer, context, isWanted }, `,
    replace: `void (`,
    tests: [`${ACCESS_SPEC} › on Express is decided before`],
  },
];
