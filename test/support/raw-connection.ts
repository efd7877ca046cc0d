import { connect, type Socket } from 'node:net';
import { until } from './until.js';

/** Opens a connection and records all its bytes. Resolves after the first event. */
export async function connectRaw(
  url: string,
  request: string,
): Promise<{ socket: Socket; text: () => string }> {
  const socket = connect(Number(new URL(url).port), '127.0.0.1').setEncoding('utf8');
  let text = '';
  socket.on('data', (chunk: string) => (text += chunk));
  socket.on('error', () => undefined);
  socket.write(request);
  await until(() => text.includes('sse.open'));
  return { socket, text: () => text };
}

/** The chunks of a response: their length in hexadecimal, and their text. */
export const chunksOf = (text: string) => [...text.matchAll(/^([\da-f]+)\r\n([^]*?\n)\r\n/gm)];

/** The data of the events in each chunk. */
export const dataByChunk = (text: string) =>
  chunksOf(text).map(([, , bytes]) => [...bytes!.matchAll(/^data: (.*)$/gm)].map(([, data]) => data!));
