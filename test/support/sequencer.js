import Sequencer from '@jest/test-sequencer';

/** Slow files, the slowest first. */
const LONG =
  'chaos scenarios topologies rolling cli.publish revalidation cluster.moves clients-docs clients-docs.cors browser clients slow-clients filters cluster.outage publish.order shares redis.outage publish.outage sample collect.errors responses worker disconnect access.disconnect rules.decisions input.subscribe answers sentinel resume.model resume sample-access cli-mount hostile'.split(
    ' ',
  );

/** Starts with the slow files: otherwise one of them could still run after all other files have ended. */
export default class LongestFirst extends (Sequencer.default ?? Sequencer) {
  sort(tests) {
    const rank = ({ path }) => {
      const index = LONG.findIndex((name) => new RegExp(`/${name}\\.(spec|faults)\\.ts$`).test(path));
      return index < 0 ? LONG.length : index;
    };
    // oxlint-disable-next-line unicorn/no-array-sort -- the sequencer's own
    return super.sort(tests).toSorted((a, b) => rank(a) - rank(b));
  }
}
