import type { Type } from '@nestjs/common';
import { describe, expect, it } from '@jest/globals';
import { SseModule, SseStreams } from 'nestjs-sse-channels';
import OpenAI, { NotFoundError } from 'openai';
import { platforms, startApp } from './support/app.js';
import { moduleOf } from './support/recipes.js';
import { startHeld, stores } from './support/streams-app.js';
import { until } from './support/until.js';

const MODULE = 2;

describe.each(platforms)('The format for the client package of OpenAI on %s', (_, platform) => {
  describe.each(stores)('%s', (_store, options) => {
    const start = async () => {
      const { ResponsesController } = await moduleOf<{ ResponsesController: Type }>('../streams.md', MODULE);
      const imports = [SseModule.forRoot({ retryMs: 100, ...options() })];
      const { app, url } = await startApp(platform, { imports, controllers: [ResponsesController] });
      const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'none', maxRetries: 0 });
      /** Reads a response from its beginning, or after a chunk. */
      const read = async (id: string, starting_after?: number, numbers: number[] = []) => {
        const events = await client.responses.retrieve(id, { stream: true, starting_after });
        for await (const { sequence_number } of events) numbers.push(sequence_number);
        return numbers;
      };
      return { streams: app.get(SseStreams), read, url };
    };
    const chunk = (sequence_number: number) => ({
      type: 'response.output_text.delta',
      sequence_number,
      delta: `${sequence_number} `,
    });

    it('delivers a response while it is produced and after its end, and resumes after a chunk', async () => {
      const { streams, read, url } = await start();
      const { out, release, handle } = await startHeld(streams, 'resp_1');
      for (let n = 0; n < 3; n++) out.write(chunk(n));
      const numbers: number[] = [];
      const reading = read('resp_1', undefined, numbers);
      await until(() => numbers.length === 3);
      for (let n = 3; n < 6; n++) out.write(chunk(n));
      const rest = read('resp_1', 1);
      release();
      await handle.done;
      expect(await reading).toEqual([0, 1, 2, 3, 4, 5]);
      expect(await rest).toEqual([2, 3, 4, 5]);
      expect(await read('resp_1', 4)).toEqual([5]);
      expect(await read('resp_1')).toEqual([0, 1, 2, 3, 4, 5]);
      expect((await fetch(`${url}/v1/responses/resp_1?starting_after=x`)).status).toBe(400);
    });

    it('fails for a response that has failed, was stopped, or is not kept', async () => {
      const { streams, read } = await start();
      const { out } = await startHeld(streams, 'failed');
      out.write(chunk(0));
      await out.fail('The model is overloaded');
      const numbers: number[] = [];
      await expect(read('failed', undefined, numbers)).rejects.toThrow('The model is overloaded');
      expect(numbers).toEqual([0]);
      await startHeld(streams, 'stopped');
      const reading = read('stopped');
      reading.catch(() => undefined);
      await streams.abort('stopped');
      await expect(reading).rejects.toThrow('user');
      await expect(read('missing')).rejects.toThrow(NotFoundError);
    });
  });
});
