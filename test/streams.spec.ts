import { describe, expect, it } from '@jest/globals';
import { platforms } from './support/app.js';
import { connect } from './support/client.js';
import { startHeld, startNode, stores } from './support/streams-app.js';
import { until } from './support/until.js';

describe.each(platforms)('A stream on %s', (_, platform) => {
  describe.each(stores)('%s', (_store, options) => {
    it('is delivered from its first event, before, while and after it is produced', async () => {
      const { streams, url } = await startNode(platform, options());
      const { out, release } = await startHeld(streams, 'a');
      const before = await connect(`${url}/streams/a`);
      for (let n = 0; n < 3; n++) out.write(n, { type: 'step' });
      const during = await connect(`${url}/streams/a`);
      out.write('last');
      release();
      await until(() => before.ended && during.ended);
      const after = await connect(`${url}/streams/a`);
      await until(() => after.ended);
      for (const client of [before, during, after]) {
        expect(client.events.map(({ event, data }) => [event, data])).toEqual([
          ['sse.open', '{"channel":"a"}'],
          ['step', '0'],
          ['step', '1'],
          ['step', '2'],
          [undefined, 'last'],
          ['sse.end', '{"status":"done"}'],
        ]);
        expect(client.events.map(({ id }) => id)).toEqual(before.events.map(({ id }) => id));
      }
    });
  });
});
