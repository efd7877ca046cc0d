const CLUSTER_SPEC = 'test/cluster.spec.ts';
const SLOTS_SPEC = 'src/broker/redis.slots.spec.ts';
const inCluster = (name) => [`${CLUSTER_SPEC} › ${name}`];

const clusterOf = (mutant) => ({ file: 'src/broker/redis.cluster.ts', tests: [CLUSTER_SPEC], ...mutant });
const HALFWAY = inCluster('publishes and reads while a slot is moved');
const MOVED = inCluster('goes on with a channel that has moved');
const EVERY = inCluster('publishes, receives and reads every channel');

export const cluster = [
  {
    guard: 'a server that a channel is on its way to is asked in particular',
    file: 'src/broker/redis.script.ts',
    find: `  if (asking) client.asking().catch(() => undefined);\n`,
    replace: '',
    tests: HALFWAY,
  },
  {
    guard: 'a channel that is half there is waited for',
    file: 'src/broker/redis.pending.ts',
    find: `|TRYAGAIN|`,
    replace: `|`,
    tests: HALFWAY,
  },
  {
    guard: 'a channel that is elsewhere is followed',
    file: 'src/broker/redis.pending.ts',
    find: `|MOVED|ASK)`,
    replace: `)`,
    tests: MOVED,
  },
  {
    guard: 'keys that are not needed are not named',
    file: 'src/broker/redis.broker.ts',
    find: `const names = withIds ? `,
    replace: `const names = true ? `,
    tests: HALFWAY,
  },
  {
    guard: 'a read follows a channel, too',
    find: `if (!mayHelp || this.#closed || performance.now() > end) throw error;`,
    replace: `throw error;`,
    tests: HALFWAY,
  },
  {
    guard: 'a redirection has the slots looked at',
    find: `if (redirection || refusal.message.startsWith('CLUSTERDOWN')) void this.#look();`,
    replace: '',
    tests: [CLUSTER_SPEC],
  },
  {
    guard: 'a master that is gone holds up its own channels only',
    find: `  laneOf(channel: string): string {\n    return channel;`,
    replace: `  laneOf(channel: string): string {\n    return '';`,
    tests: inCluster('a master that is gone'),
  },
  {
    guard: 'sharded messages are in the slot of the keys',
    file: 'src/broker/redis.broker.ts',
    find: `this.#servers.sharded ? \`{\${channel}}\` : channel`,
    replace: `channel`,
    tests: EVERY,
  },
  {
    guard: 'a sharded event is sent where it is stored',
    file: 'src/broker/redis.broker.ts',
    find: `        if (this.#servers.sharded) args.push('SPUBLISH');\n`,
    replace: '',
    tests: EVERY,
  },
  {
    guard: 'channels are received where they have moved to',
    file: 'src/broker/redis.broker.ts',
    find: `    this.#subscriptions.route();\n`,
    replace: '',
    tests: MOVED,
  },
  {
    guard: 'what was given leads to a cluster that has other addresses',
    find: `    for (const seed of this.#seeds) this.#reach(seed);\n  }\n\n  #complain`,
    replace: `  }\n\n  #complain`,
    tests: inCluster('finds a cluster whose servers all have other addresses'),
  },
  {
    guard: 'servers that have left are left',
    find: `      void connection.close();\n`,
    replace: '',
    tests: inCluster('reaches servers by a natMap alone'),
  },
  {
    guard: 'a prefix of ioredis’s goes in front',
    file: 'src/resolve-options.ts',
    find: `given?.keyPrefix ?? options?.redisOptions?.keyPrefix ?? ''`,
    replace: `''`,
    tests: inCluster('with its keyPrefix'),
  },
  {
    guard: 'a node that is given as if it were alone is named',
    file: 'src/broker/redis.check.ts',
    find: `field('\\\\w+_mode') === 'cluster' && !given.cluster`,
    replace: `false`,
    tests: inCluster('says what is wrong'),
  },
  {
    guard: 'what is no cluster is named',
    find: `answer.catch((error: Error) => this.#complain(error))`,
    replace: `answer.catch(() => undefined)`,
    tests: inCluster('says what is wrong'),
  },
  {
    guard: 'a server without slots says nothing of them',
    file: 'src/broker/redis.slots.ts',
    find: `    if (reply.length === 0) return false;\n`,
    replace: '',
    tests: [SLOTS_SPEC],
  },
  {
    guard: 'what has not changed is not told',
    file: 'src/broker/redis.slots.ts',
    find: `    if (owners.every((owner, slot) => owner === this.#owners[slot])) return true;\n`,
    replace: '',
    tests: [SLOTS_SPEC],
  },
  {
    guard: 'a server without a name is the one that was asked',
    file: 'src/broker/redis.slots.ts',
    find: `\${host || hostOf(asked)}`,
    replace: `\${host}`,
    tests: [SLOTS_SPEC],
  },
  {
    guard: 'servers have the names by which they are reached',
    file: 'src/broker/redis.slots.ts',
    find: `return mapped ? `,
    replace: `return false ? `,
    tests: [SLOTS_SPEC],
  },
  {
    guard: 'what names other keys waits, and overtakes nothing',
    file: 'src/broker/redis.sender.ts',
    find: `        if (first && first.sending.names !== pending.sending.names) break;\n`,
    replace: '',
    tests: ['src/broker/redis.sender.spec.ts'],
  },
  {
    guard: 'what is closed subscribes to nothing',
    file: 'src/broker/redis.subscriptions.ts',
    find: `    this.#closed = true;\n    this.#channels.clear();\n`,
    replace: '',
    tests: inCluster('leaves no connection open'),
  },
  {
    guard: 'what the server has ended is subscribed to anew',
    file: 'src/broker/redis.subscriber.ts',
    find: `    client.on('moved', () => this.#ended());\n`,
    replace: '',
    tests: inCluster('tells of a sharded subscription'),
  },
  {
    guard: 'a password that any node has is used for all',
    find: `...Object.assign({}, ...seeds.toReversed())`,
    replace: `...seeds[0]`,
    tests: inCluster('takes the password'),
  },
  {
    guard: 'a prefix does not scatter the keys of a channel',
    file: 'src/resolve-options.ts',
    find: `keyPrefix.includes('{}')`,
    replace: `false`,
    tests: ['test/module.spec.ts'],
  },
  {
    guard: 'what fails halfway through a script as a key is elsewhere is tried again',
    file: 'src/broker/redis.pending.ts',
    find: `|access a non local key/`,
    replace: `/`,
    tests: inCluster('keeps the ids of publishers'),
  },
  {
    guard: 'a place that has changed is not blamed for an answer of the one before',
    file: 'src/broker/redis.sender.ts',
    find: `this.#refuse(error as Error, place);`,
    replace: `this.#refuse(error as Error);`,
    tests: ['src/broker/redis.sender.spec.ts'],
  },
].map(clusterOf);
