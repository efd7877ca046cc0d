/** Clients that reconnect one after the other, so that no two of them share a batch. Each reads the events that it has missed. */
import { get } from 'node:http';
import { createGunzip } from 'node:zlib';

/** @returns the bytes of the response on the wire, when it contains all missed events */
function resumeOne({ port, isGzip, lastEventId, missed }) {
  const headers = { 'Last-Event-ID': lastEventId, ...(isGzip && { 'Accept-Encoding': 'gzip' }) };
  const options = { port, host: '127.0.0.1', path: '/events?channel=all', headers, agent: false };
  return new Promise((resolve, reject) => {
    const request = get(options, (response) => {
      const isZipped = response.headers['content-encoding'] === 'gzip';
      if (isZipped !== isGzip) reject(new Error(`The response is ${isZipped ? '' : 'not '}compressed`));
      let text = '';
      const body = isZipped ? response.pipe(createGunzip()) : response;
      body.setEncoding('utf8').on('error', reject);
      body.on('data', (chunk) => {
        text += chunk;
        const events = text.endsWith('\n\n') ? text.split('\ndata: {').length - 1 : 0;
        if (events > missed) reject(new Error(`${events} events instead of ${missed}`));
        if (events !== missed) return;
        resolve(response.socket.bytesRead);
        body.off('error', reject).on('error', () => undefined);
        request.destroy();
      });
      response.on('error', () => undefined);
    });
    request.on('error', reject);
  });
}

/** @returns bytes per client */
export async function resume(count, settings) {
  let bytes = 0;
  for (let n = 0; n < count; n++) bytes += await resumeOne(settings);
  return bytes / count;
}
