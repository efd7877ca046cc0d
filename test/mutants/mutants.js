import { access } from './access.js';
import { broker } from './broker.js';
import { channels } from './channels.js';
import { cluster } from './cluster.js';
import { connections } from './connections.js';
import { history } from './history.js';
import { http } from './http.js';
import { hub } from './hub.js';
import { memory } from './memory.js';
import { metrics } from './metrics.js';
import { production } from './production.js';
import { publisher } from './publisher.js';
import { replays } from './replay.js';
import { responses } from './responses.js';
import { scripts } from './scripts.js';

/** A test is a file, or `<file> › <part of the names of its tests>` where the rest of the file would take long. */
const parse = (test) => {
  const [file, name] = test.split(' › ');
  return { file, name };
};

/** Each guard in words, where it is, what stands there without it, and the quickest tests that should notice. */
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
  ...access,
  ...connections,
  ...http,
  ...responses,
  ...production,
  ...metrics,
].map((mutant) => ({
  ...mutant,
  tests: mutant.tests.map(parse),
}));
