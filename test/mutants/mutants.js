import { access } from './access.js';
import { broker } from './broker.js';
import { channels } from './channels.js';
import { cluster } from './cluster.js';
import { http } from './http.js';
import { hub } from './hub.js';
import { memory } from './memory.js';
import { production } from './production.js';
import { publisher } from './publisher.js';
import { scripts } from './scripts.js';

/** A test is a file, or `<file> › <part of the names of its tests>` where the rest of the file would take long. */
const parse = (test) => {
  const [file, name] = test.split(' › ');
  return { file, name };
};

/** Each guard in words, where it is, what stands there without it, and the quickest tests that should notice. */
export const MUTANTS = [
  ...access,
  ...hub,
  ...channels,
  ...memory,
  ...broker,
  ...publisher,
  ...cluster,
  ...production,
  ...scripts,
  ...http,
].map((mutant) => ({
  ...mutant,
  tests: mutant.tests.map(parse),
}));
