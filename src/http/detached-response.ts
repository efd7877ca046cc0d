import type { AnyResponse } from './platform.js';
import type { WriterOwner } from './writer.js';

interface Destination {
  /** @param chunk of HTTP/1.1 */
  put(chunk: Buffer, callback?: () => void): void;
  destroy(): void;
}

const LINE_END = Buffer.from('\r\n');

/** Lets code of the application that still has a detached response write to it, end it, and destroy it. */
export function replaceMethods(response: AnyResponse, to: Destination, owner: WriterOwner): void {
  // Only that of Node, which would take the socket away once more, and idle ones.
  response.removeAllListeners('finish');
  response.write = (...args: unknown[]) => {
    put(to, args, callbackOf(args));
    return true;
  };
  response.end = (...args: unknown[]) => {
    const callback = callbackOf(args);
    if (callback) response.once('finish', callback);
    put(to, args);
    owner.complete();
    return response;
  };
  response.destroy = () => {
    to.destroy();
    return response;
  };
}

/** Makes it the end of a detached response. @param hasFinished whether the client has got all of it */
export function close(response: AnyResponse, hasFinished: boolean): void {
  response.finished = hasFinished;
  if (hasFinished) response.emit('finish');
  response.destroyed = true;
  if (!response.req.closed) response.req.emit('close');
  response.emit('close');
}

function put(to: Destination, [data, encoding]: readonly unknown[], callback?: () => void): void {
  const isText = typeof data === 'string';
  if (!isText && !(data instanceof Uint8Array)) return;
  const text = isText
    ? Buffer.from(data, typeof encoding === 'string' ? (encoding as 'utf8') : 'utf8')
    : data;
  // An empty chunk would end the response.
  if (text.length === 0) return;
  to.put(Buffer.concat([Buffer.from(`${text.length.toString(16)}\r\n`), text, LINE_END]), callback);
}

const callbackOf = (args: readonly unknown[]) =>
  args.find((arg) => typeof arg === 'function') as (() => void) | undefined;
