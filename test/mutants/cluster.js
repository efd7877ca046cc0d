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
    guard: 'a server that imports a slot gets ASKING',
    file: 'src/broker/redis/script.ts',
    find: `  if (asking) client.asking().catch(() => undefined);\n`,
    replace: '',
    tests: HALFWAY,
  },
  {
    guard: 'a command waits while only some keys have migrated',
    file: 'src/broker/redis/publication.ts',
    find: `|TRYAGAIN|`,
    replace: `|`,
    tests: HALFWAY,
  },
  {
    guard: 'a publication follows a moved channel',
    file: 'src/broker/redis/publication.ts',
    find: `|MOVED|ASK|`,
    replace: `|`,
    tests: MOVED,
  },
  {
    guard: 'a command names only the keys it needs',
    file: 'src/broker/redis/names.ts',
    find: `const names = withIds ? `,
    replace: `const names = true ? `,
    tests: HALFWAY,
  },
  {
    guard: 'a read follows a moved channel',
    find: `(refusal && performance.now() <= end)`,
    replace: `false`,
    tests: HALFWAY,
  },
  {
    guard: 'commands for a dead master are sent to its successor',
    find: `      connection.turnAway();\n`,
    replace: '',
    tests: inOutage('sends pending reads'),
  },
  {
    guard: 'a redirection triggers a read of the slots',
    find: `if (redirection || refusal.message.startsWith('CLUSTERDOWN')) void this.#refresh();`,
    replace: '',
    tests: [MOVES_SPEC],
  },
  {
    guard: 'a dead master delays only its own channels',
    find: `  queueOf(channel: string): string {\n    return channel;`,
    replace: `  queueOf(channel: string): string {\n    return '';`,
    tests: inOutage('delays only the channels of a dead master'),
  },
  {
    guard: 'sharded Pub/Sub channels are in the slot of their keys',
    file: 'src/broker/redis/names.ts',
    find: `this.sharded() ? \`{\${channel}}\` : channel`,
    replace: `channel`,
    tests: EVERY,
  },
  {
    guard: 'a sharded event is sent on the server that stores it',
    file: 'src/broker/redis/names.ts',
    find: `this.sharded() ? 'SPUBLISH' : 'PUBLISH'`,
    replace: `'PUBLISH'`,
    tests: EVERY,
  },
  {
    guard: 'a moved channel is subscribed on its new server',
    file: 'src/broker/redis/redis.broker.ts',
    find: `    this.#subscriptions.route();\n`,
    replace: '',
    tests: MOVED,
  },
  {
    guard: 'the configured nodes find a cluster with new addresses',
    find: `    for (const seed of this.#seeds) this.#reach(seed);\n  }\n\n  #complain`,
    replace: `  }\n\n  #complain`,
    tests: inOutage('finds a cluster whose servers all have other addresses'),
  },
  {
    guard: 'servers that left the cluster are disconnected',
    find: `      void connection.close();\n`,
    replace: '',
    tests: inCluster('reaches servers through a natMap alone'),
  },
  {
    guard: 'an unreachable server is not awaited',
    find: `if (connection.ready) return { connection, asking: true };`,
    replace: `return { connection, asking: true };`,
    tests: inMoves('publishes to the old master of a channel'),
  },
  {
    guard: 'a command connection to the wrong server is closed',
    find: `from?.address === address`,
    replace: `false`,
    tests: inOutage('disconnects from a server that'),
  },
  {
    guard: 'a subscriber connection to the wrong server is closed',
    file: 'src/broker/redis/subscriber.ts',
    find: `this.topology.learn(error, this.connection);`,
    replace: `this.topology.learn(error);`,
    tests: inOutage('disconnects from a server that'),
  },
  {
    guard: 'a silent master is disconnected',
    find: `    if (this.#subscriptionServer === server) this.#subscriptionServer = anyOf(others) ?? server;\n`,
    replace: '',
    tests: inOutage('receives from another master'),
  },
  {
    guard: 'a slot without a master is an outage',
    file: 'src/broker/redis/slots.ts',
    find: `return !this.#owners.includes(undefined);`,
    replace: `return true;`,
    tests: [SLOTS_SPEC],
  },
  {
    guard: 'a publication that timed out frees its share',
    file: 'src/broker/redis/publication-queue.ts',
    find: `    this.usage.count -= publication.command.count;\n`,
    replace: `    if (this.#waiting === 0) this.usage.count--;\n`,
    tests: ['src/broker/redis/publication-queue.limits.spec.ts'],
  },
  {
    guard: 'the keyPrefix of ioredis comes first',
    file: 'src/options/redis-source.ts',
    find: `optionsOf(redis).keyPrefix ?? options?.redisOptions?.keyPrefix ?? ''`,
    replace: `''`,
    tests: inCluster('with its keyPrefix'),
  },
  {
    guard: 'a cluster node configured as a single server is reported',
    file: 'src/broker/redis/inspect.ts',
    find: `field('\\\\w+_mode') === 'cluster' && !given.cluster`,
    replace: `false`,
    tests: inCluster('logs the mistake'),
  },
  {
    guard: 'a single server configured as a cluster is reported',
    find: `answer.catch((error: Error) => this.#complain(error))`,
    replace: `answer.catch(() => undefined)`,
    tests: inCluster('logs the mistake'),
  },
  {
    guard: 'a server that knows no slots is ignored',
    file: 'src/broker/redis/slots.ts',
    find: `    if (reply.length === 0) return false;\n`,
    replace: '',
    tests: [SLOTS_SPEC],
  },
  {
    guard: 'unchanged slots are not reported',
    file: 'src/broker/redis/slots.ts',
    find: `    if (owners.every((owner, slot) => owner === this.#owners[slot])) return true;\n`,
    replace: '',
    tests: [SLOTS_SPEC],
  },
  {
    guard: 'a server without a name is the queried server',
    file: 'src/broker/redis/slots.ts',
    find: `\${host || hostOf(asked)}`,
    replace: `\${host}`,
    tests: [SLOTS_SPEC],
  },
  {
    guard: 'servers are named by their reachable addresses',
    file: 'src/broker/redis/slots.ts',
    find: `return mapped ? `,
    replace: `return false ? `,
    tests: [SLOTS_SPEC],
  },
  {
    guard: 'a closed broker subscribes to no channel',
    file: 'src/broker/redis/subscriptions.ts',
    find: `    this.#closed = true;\n    this.#channels.clear();\n`,
    replace: '',
    tests: inCluster('leaves no connection open'),
  },
  {
    guard: 'a subscription that the server ended is renewed',
    file: 'src/broker/redis/subscriber.ts',
    find: `    client.on('moved', () => this.#hasEnded());\n`,
    replace: '',
    tests: inMoves('reports that a sharded subscription'),
  },
  {
    guard: 'the password of one node is used for all nodes',
    find: `...Object.assign({}, ...seeds.toReversed())`,
    replace: `...seeds[0]`,
    tests: inCluster('uses a password'),
  },
  {
    guard: 'a prefix keeps the keys of a channel in one slot',
    file: 'src/options/redis-source.ts',
    find: `keyPrefix.includes('{}')`,
    replace: `false`,
    tests: ['test/module.options.spec.ts'],
  },
  {
    guard: 'a script that fails on a migrated key is retried',
    file: 'src/broker/redis/publication.ts',
    find: `|access a non local key/`,
    replace: `/`,
    tests: inMoves('keeps the ids of publishers'),
  },
  {
    guard: 'a reply counts for the server that sent it',
    file: 'src/broker/redis/publication-queue.ts',
    find: `this.#refuse(error as Error, route);`,
    replace: `this.#refuse(error as Error);`,
    tests: ['src/broker/redis/publication-queue.spec.ts'],
  },
].map(clusterOf);
