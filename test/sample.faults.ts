import { describe, expect, it } from '@jest/globals';
import { connect } from './support/client.js';
import { Sample } from './support/sample.js';

/** Two builds at the same time, beside other tests. Each ends without progress. */
const BUILDS_MS = 900_000;

describe('The sample', () => {
  it(
    'starts with npm run sample, also several at once, and exits with code 0 on SIGTERM',
    async () => {
      const samples = await Promise.all([1, 2].map(() => Sample.start({}, 'npm run sample')));
      const clients = await Promise.all(samples.map(({ url }) => connect(`${url}/channel`)));
      await Promise.all(clients.map((client) => client.next()));
      const ends = await Promise.all(samples.map((sample) => sample.signal('SIGTERM')));
      expect(ends).toEqual([
        { code: 0, signal: null },
        { code: 0, signal: null },
      ]);
    },
    BUILDS_MS,
  );
});
