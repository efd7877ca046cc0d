import { once } from 'node:events';
import { Agent, createServer, get, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { connect as connectHttp2, createServer as createHttp2Server } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach } from '@jest/globals';
import { ChannelEvent } from '../../src/channel/channel-event.js';
import { SharedBatch } from '../../src/http/batch.js';
import { SseResponse } from '../../src/http/sse-response.js';
import { Frame } from '../../src/http/frame.js';
import { Outbox } from '../../src/http/outbox.js';
import { until } from './until.js';

const outbox = new Outbox();

export const eventOf = (data: string): ChannelEvent =>
  new ChannelEvent('c', { id: data, json: JSON.stringify(data), size: data.length }, '');

/** A server whose responses become connections, a new one for each test of a file. */
export function useSseServer() {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  let server: Server;
  let ends: (() => void)[] = [];

  beforeEach(async () => {
    server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
  });
  afterEach(() => {
    for (const end of ends) end();
    ends = [];
    agent.destroy();
    server.closeAllConnections();
    server.close();
  });

  const portOf = (any: { address(): unknown }) => (any.address() as AddressInfo).port;

  async function request(
    through = agent,
  ): Promise<{ response: ServerResponse; answer: Promise<IncomingMessage> }> {
    const answer = once(get({ port: portOf(server), agent: through }), 'response');
    const [, response] = (await once(server, 'request')) as [IncomingMessage, ServerResponse];
    return { response, answer: answer.then(([message]) => message as IncomingMessage) };
  }

  /** The same with HTTP/2. */
  async function requestHttp2() {
    const http2 = createHttp2Server().listen(0, '127.0.0.1');
    await once(http2, 'listening');
    const session = connectHttp2(`http://127.0.0.1:${portOf(http2)}`);
    ends.push(() => (session.destroy(), http2.close()));
    const reading = session.request({ ':path': '/' });
    const [, response] = (await once(http2, 'request')) as unknown as [unknown, ServerResponse];
    return { response, reading };
  }

  const sseOn = (response: ServerResponse, retry = 'retry: 1\n\n', gzip?: number) =>
    new SseResponse(response, outbox, {
      gzip,
      channels: ['c'],
      resumes: true,
      first: new SharedBatch().with(new Frame(retry)),
    });

  return {
    outbox,
    request,
    requestHttp2,
    sseOn,
    server: () => server,
    port: () => portOf(server),
  };
}

/** Resolves to the progress of a response whose client does not read, once the buffers of the system are full. */
export async function stillProgress(sse: SseResponse): Promise<number> {
  await until(() => sse.pending > 0);
  let before = NaN;
  await until(async () => {
    await new Promise((resolve) => setTimeout(resolve, 50));
    const isStill = before === sse.progress;
    before = sse.progress;
    return isStill;
  });
  return before;
}
