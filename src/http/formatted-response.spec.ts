import { once } from 'node:events';
import { createServer } from 'node:http';
import { afterEach, describe, expect, it } from '@jest/globals';
import { ChannelEvent } from '../channel/channel-event.js';
import { SharedBatch } from './batch.js';
import { Frame } from './frame.js';
import { FormattedResponse, FrameFormat } from './formatted-response.js';
import { Outbox } from './outbox.js';

const frames = new FrameFormat({
  start: (id) => `id: ${id}\n\n`,
  event: ({ json }) => `data: ${json}\n\n`,
  end: () => 'data: end\n\n',
});
const servers = new Set<ReturnType<typeof createServer>>();
afterEach(() => {
  for (const server of servers) server.close();
  servers.clear();
});

/** What a client reads of a response, and whether that is all of it. */
async function read(use: (response: FormattedResponse) => void): Promise<[string, boolean]> {
  const server = createServer((_, raw) => {
    const options = {
      channels: ['c'],
      resumes: false,
      first: new SharedBatch().with(new Frame('retry: 1\n')),
    };
    use(new FormattedResponse(raw, new Outbox(), options, { frames, position: '0-1' }));
  }).listen(0, '127.0.0.1');
  servers.add(server);
  await once(server, 'listening');
  const { body } = await fetch(`http://127.0.0.1:${(server.address() as { port: number }).port}`);
  let text = '';
  try {
    for await (const chunk of body!) text += Buffer.from(chunk as Uint8Array).toString();
    return [text, true];
  } catch {
    return [text, false];
  }
}

const event = (json: string, type?: string) => new ChannelEvent('c', { json, type, size: 0 }, '1-0');

describe('A response in another format', () => {
  it('is cut, after what was to be sent, where it is completed without the end of the stream', async () => {
    const cut = await read((response) => {
      response.open();
      response.next(event('1'));
      response.complete();
      response.next(event('2'));
    });
    expect(cut).toEqual(['retry: 1\nid: 0-1\n\ndata: 1\n\n', false]);
  });

  it('ends with the stream, and has nothing after that', async () => {
    const whole = await read((response) => {
      response.next(event('{"status":"done"}', 'sse.end'));
      response.finish();
      response.next(event('2'));
      response.complete();
    });
    expect(whole).toEqual(['retry: 1\ndata: end\n\n', true]);
  });
});
