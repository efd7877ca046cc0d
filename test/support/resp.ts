/** The end of the reply that begins at `start`, in the Redis protocol (RESP3), if it is complete. */
function endOfReply(bytes: Buffer, start: number): number | undefined {
  const newline = bytes.indexOf('\r\n', start);
  if (newline < 0) return undefined;
  const size = Number(bytes.toString('latin1', start + 1, newline));
  let end: number | undefined = newline + 2;
  const type = bytes.toString('latin1', start, start + 1);
  switch (type) {
    case '$':
    case '=':
      if (size >= 0) end += size + 2;
      return end <= bytes.length ? end : undefined;
    case '*':
    case '>':
    case '%':
      for (let left = type === '%' ? 2 * size : size; left > 0 && end !== undefined; left--)
        end = endOfReply(bytes, end);
      return end;
    default:
      return end;
  }
}

/** Splits the incoming data of one connection into complete replies. */
export class Replies {
  #rest: Buffer = Buffer.alloc(0);

  take(chunk: Buffer): Buffer[] {
    this.#rest = Buffer.concat([this.#rest, chunk]);
    const replies: Buffer[] = [];
    for (let end; (end = endOfReply(this.#rest, 0)) !== undefined; this.#rest = this.#rest.subarray(end)) {
      replies.push(this.#rest.subarray(0, end));
    }
    return replies;
  }
}
