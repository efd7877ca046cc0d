import { access } from './access.js';
import { broker } from './broker.js';
import { channels } from './channels.js';
import { client } from './client.js';
import { cluster } from './cluster.js';
import { compression } from './compression.js';
import { connections } from './connections.js';
import { detached } from './detached.js';
import { formats } from './formats.js';
import { history } from './history.js';
import { http } from './http.js';
import { hub } from './hub.js';
import { listChecks } from './list-checks.js';
import { lists } from './lists.js';
import { memory } from './memory.js';
import { metrics } from './metrics.js';
import { production } from './production.js';
import { publisher } from './publisher.js';
import { replays } from './replay.js';
import { responses } from './responses.js';
import { scripts } from './scripts.js';
import { start } from './start.js';
import { streamStores } from './stream-stores.js';
import { streams } from './streams.js';
import { tickets } from './tickets.js';
import { typedChannels } from './typed-channels.js';
import { writeInterval } from './write-interval.js';

/** A test is a file, or `<file> › <part of test names>` if the rest of the file is slow. */
const parse = (test) => {
  const [file, name] = test.split(' › ');
  return { file, name };
};

/** Each guard: its name, file, text, replacement without the guard, and the fastest tests that should fail. */
export const MUTANTS = [
  ...hub,
  ...replays,
  ...history,
  ...channels,
  ...memory,
  ...broker,
  ...publisher,
  ...cluster,
  ...scripts,
  ...listChecks,
  ...lists,
  ...access,
  ...connections,
  ...http,
  ...responses,
  ...writeInterval,
  ...detached,
  ...compression,
  ...production,
  ...metrics,
  ...start,
  ...streamStores,
  ...streams,
  ...formats,
  ...tickets,
  ...typedChannels,
  ...client,
].map((mutant) => ({
  ...mutant,
  tests: mutant.tests.map(parse),
}));
