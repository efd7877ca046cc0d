const CLUSTER_SPEC = 'test/cluster.spec.ts';
const MOVES_SPEC = 'test/cluster.moves.spec.ts';
const OUTAGE_SPEC = 'test/cluster.outage.spec.ts';
const SLOTS_SPEC = 'src/broker/redis/slots.spec.ts';
const inCluster = (name) => [`${CLUSTER_SPEC} › ${name}`];
const inMoves = (name) => [`${MOVES_SPEC} › ${name}`];
const inOutage = (name) => [`${OUTAGE_SPEC} › ${name}`];

const clusterOf = (mutant) => ({ file: 'src/broker/redis/cluster.ts', tests: [CLUSTER_SPEC], ...mutant });
const HALFWAY = inMoves('publishes and reads while a slot migrates');
const MOVED = inMoves('follows a channel that moves');
const EVERY = inCluster('publishes, receives and reads every channel');

export const cluster = [
  {
    guard: 'a server that a channel is on its way to is asked in particular',
    file: 'src/broker/redis/script.ts',
    find: `  if (asking) client.asking().catch(() => undefined);\n`,
    replace: '',
    tests: HALFWAY,
  },
  {
    guard: 'a channel that is half there is waited for',
    file: 'src/broker/redis/publication.ts',
    find: `|TRYAGAIN|`,
    replace: `|`,
    tests: HALFWAY,
  },
  {
    guard: 'a channel that is elsewhere is followed',
    file: 'src/broker/redis/publication.ts',
    find: `|MOVED|ASK|`,
    replace: `|`,
    tests: MOVED,
  },
  {
    guard: 'keys that are not needed are not named',
    file: 'src/broker/redis/redis.broker.ts',
    find: `const names = withIds ? `,
    replace: `const names = true ? `,
    tests: HALFWAY,
  },
  {
    guard: 'a read follows a channel, too',
    find: `(refusal && performance.now() <= end)`,
    replace: `false`,
    tests: HALFWAY,
  },
  {
    guard: 'what waits for a master that is gone is sent to another',
    find: `      connection.turnAway();\n`,
    replace: '',
    tests: inOutage('sends pending reads'),
  },
  {
    guard: 'a redirection makes the node read the slots',
    find: `if (redirection || refusal.message.startsWith('CLUSTERDOWN')) void this.#refresh();`,
    replace: '',
    tests: [MOVES_SPEC],
  },
  {
    guard: 'a master that is gone holds up its own channels only',
    find: `  queueOf(channel: string): string {\n    return channel;`,
    replace: `  queueOf(channel: string): string {\n    return '';`,
    tests: inOutage('delays only the channels of a dead master'),
  },
  {
    guard: 'sharded messages are in the slot of the keys',
    file: 'src/broker/redis/redis.broker.ts',
    find: `this.#topology.sharded ? \`{\${channel}}\` : channel`,
    replace: `channel`,
    tests: EVERY,
  },
  {
    guard: 'a sharded event is sent where it is stored',
    file: 'src/broker/redis/redis.broker.ts',
    find: `this.#topology.sharded ? 'SPUBLISH' : 'PUBLISH'`,
    replace: `'PUBLISH'`,
    tests: EVERY,
  },
  {
    guard: 'channels are received where they have moved to',
    file: 'src/broker/redis/redis.broker.ts',
    find: `    this.#subscriptions.route();\n`,
    replace: '',
    tests: MOVED,
  },
  {
    guard: 'what was given leads to a cluster that has other addresses',
    find: `    for (const seed of this.#seeds) this.#reach(seed);\n  }\n\n  #complain`,
    replace: `  }\n\n  #complain`,
    tests: inOutage('finds a cluster whose servers all have other addresses'),
  },
  {
    guard: 'servers that have left are left',
    find: `      void connection.close();\n`,
    replace: '',
    tests: inCluster('reaches servers through a natMap alone'),
  },
  {
    guard: 'a server that is unreachable is not waited for',
    find: `if (connection.ready) return { connection, asking: true };`,
    replace: `return { connection, asking: true };`,
    tests: inMoves('publishes to the old master of a channel'),
  },
  {
    guard: 'a connection that publishes leaves a server that another address has led to',
    find: `from?.address === address`,
    replace: `false`,
    tests: inOutage('disconnects from a server that'),
  },
  {
    guard: 'a connection that receives leaves a server that another address has led to',
    file: 'src/broker/redis/subscriber.ts',
    find: `this.topology.learn(error, this.connection);`,
    replace: `this.topology.learn(error);`,
    tests: inOutage('disconnects from a server that'),
  },
  {
    guard: 'a master from which nothing arrives is left',
    find: `    if (this.#subscriptionServer === server) this.#subscriptionServer = anyOf(others) ?? server;\n`,
    replace: '',
    tests: inOutage('receives from another master'),
  },
  {
    guard: 'a slot that no master has is an outage',
    file: 'src/broker/redis/slots.ts',
    find: `return !this.#owners.includes(undefined);`,
    replace: `return true;`,
    tests: [SLOTS_SPEC],
  },
  {
    guard: 'a publication that was given up frees its share',
    file: 'src/broker/redis/publication-queue.ts',
    find: `    this.usage.count--;\n`,
    replace: `    if (this.#waiting === 0) this.usage.count--;\n`,
    tests: ['src/broker/redis/publication-queue.spec.ts'],
  },
  {
    guard: 'a prefix of ioredis’s goes in front',
    file: 'src/options/redis-source.ts',
    find: `optionsOf(redis).keyPrefix ?? options?.redisOptions?.keyPrefix ?? ''`,
    replace: `''`,
    tests: inCluster('with its keyPrefix'),
  },
  {
    guard: 'a node that is given as if it were alone is named',
    file: 'src/broker/redis/inspect.ts',
    find: `field('\\\\w+_mode') === 'cluster' && !given.cluster`,
    replace: `false`,
    tests: inCluster('logs the mistake'),
  },
  {
    guard: 'what is no cluster is named',
    find: `answer.catch((error: Error) => this.#complain(error))`,
    replace: `answer.catch(() => undefined)`,
    tests: inCluster('logs the mistake'),
  },
  {
    guard: 'a server without slots says nothing of them',
    file: 'src/broker/redis/slots.ts',
    find: `    if (reply.length === 0) return false;\n`,
    replace: '',
    tests: [SLOTS_SPEC],
  },
  {
    guard: 'what has not changed is not told',
    file: 'src/broker/redis/slots.ts',
    find: `    if (owners.every((owner, slot) => owner === this.#owners[slot])) return true;\n`,
    replace: '',
    tests: [SLOTS_SPEC],
  },
  {
    guard: 'a server without a name is the one that was asked',
    file: 'src/broker/redis/slots.ts',
    find: `\${host || hostOf(asked)}`,
    replace: `\${host}`,
    tests: [SLOTS_SPEC],
  },
  {
    guard: 'servers have the names by which they are reached',
    file: 'src/broker/redis/slots.ts',
    find: `return mapped ? `,
    replace: `return false ? `,
    tests: [SLOTS_SPEC],
  },
  {
    guard: 'what is closed subscribes to nothing',
    file: 'src/broker/redis/subscriptions.ts',
    find: `    this.#closed = true;\n    this.#channels.clear();\n`,
    replace: '',
    tests: inCluster('leaves no connection open'),
  },
  {
    guard: 'what the server has ended is subscribed to anew',
    file: 'src/broker/redis/subscriber.ts',
    find: `    client.on('moved', () => this.#hasEnded());\n`,
    replace: '',
    tests: inMoves('reports that a sharded subscription'),
  },
  {
    guard: 'a password that any node has is used for all',
    find: `...Object.assign({}, ...seeds.toReversed())`,
    replace: `...seeds[0]`,
    tests: inCluster('uses a password'),
  },
  {
    guard: 'a prefix does not scatter the keys of a channel',
    file: 'src/options/redis-source.ts',
    find: `keyPrefix.includes('{}')`,
    replace: `false`,
    tests: ['test/module.options.spec.ts'],
  },
  {
    guard: 'what fails halfway through a script as a key is elsewhere is tried again',
    file: 'src/broker/redis/publication.ts',
    find: `|access a non local key/`,
    replace: `/`,
    tests: inMoves('keeps the ids of publishers'),
  },
  {
    guard: 'a place that has changed is not blamed for an answer of the one before',
    file: 'src/broker/redis/publication-queue.ts',
    find: `this.#refuse(error as Error, route);`,
    replace: `this.#refuse(error as Error);`,
    tests: ['src/broker/redis/publication-queue.spec.ts'],
  },
].map(clusterOf);
