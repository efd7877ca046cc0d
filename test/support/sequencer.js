import Sequencer from '@jest/test-sequencer';

/** Those that take a minute or more, from the longest on. */
const LONG = ['chaos', 'scenarios', 'clients', 'cli', 'topologies', 'browser', 'cluster', 'sample'];

/** Begins with those that take long, so that none of them is left when all others have ended. */
export default class LongestFirst extends (Sequencer.default ?? Sequencer) {
  sort(tests) {
    const rank = ({ path }) => {
      const place = LONG.findIndex((name) => path.endsWith(`/${name}.spec.ts`));
      return place < 0 ? LONG.length : place;
    };
    // oxlint-disable-next-line unicorn/no-array-sort -- the sequencer's own
    return super.sort(tests).toSorted((a, b) => rank(a) - rank(b));
  }
}
