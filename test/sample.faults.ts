import { describe, expect, it } from '@jest/globals';
import { connect } from './support/client.js';
import { Sample } from './support/sample.js';

describe('The sample', () => {
  it('starts with npm run sample, also several at once, and exits with code 0 on SIGTERM', async () => {
    const samples = await Promise.all([1, 2].map(() => Sample.start({}, 'npm run sample')));
    const clients = await Promise.all(samples.map(({ url }) => connect(`${url}/channel`)));
    await Promise.all(clients.map((client) => client.next()));
    const ends = await Promise.all(samples.map((sample) => sample.signal('SIGTERM')));
    expect(ends).toEqual([
      { code: 0, signal: null },
      { code: 0, signal: null },
    ]);
    // Two builds at once, each bounded by its progress, beside the other tests.
  }, 900_000);
});
