const GZIP_SPEC = 'src/http/gzip.spec.ts';
const CRC_SPEC = 'src/http/crc32.spec.ts';
const RESPONSE_SPEC = 'src/http/sse-response.gzip.spec.ts';
const HEADERS_SPEC = 'src/http/compression.spec.ts';
const COMPRESSION_SPEC = 'test/compression.spec.ts';

const gzip = { file: 'src/http/gzip.ts', tests: [GZIP_SPEC] };
const crc = { file: 'src/http/crc32.ts', tests: [CRC_SPEC] };
const batch = { file: 'src/http/batch.ts', tests: [GZIP_SPEC] };
const writer = { file: 'src/http/response-writer.ts', tests: [RESPONSE_SPEC] };
const headers = { file: 'src/http/compression.ts', tests: [HEADERS_SPEC] };

export const compression = [
  {
    ...gzip,
    guard: 'a compressed batch is complete, and needs nothing before it',
    find: `    finishFlush: constants.Z_FULL_FLUSH,\n`,
    replace: '',
  },
  {
    ...gzip,
    guard: 'a stored block has at most 65,535 bytes',
    find: `const MAX_STORED_BLOCK = 65_535;`,
    replace: `const MAX_STORED_BLOCK = 65_536;`,
  },
  {
    ...gzip,
    guard: 'a stored batch ends with an empty block, at which readers hand over',
    find: `Buffer.concat([...storedBlocks(text), FLUSH])`,
    replace: `Buffer.concat(storedBlocks(text))`,
  },
  {
    ...gzip,
    guard: 'a text that does not shrink is stored',
    find: `  if (deflated.length >= text.length) return undefined;\n`,
    replace: '',
  },
  {
    ...gzip,
    guard: 'a short text is not compressed',
    find: `text.length < minBytes ? undefined : deflate(text)`,
    replace: `deflate(text)`,
  },
  {
    ...gzip,
    guard: 'a short result keeps no long buffer',
    find: `2 * deflated.length < deflated.buffer.byteLength ? Buffer.from(deflated) : deflated`,
    replace: `deflated`,
  },
  {
    ...gzip,
    guard: 'the trailer has the size',
    find: `    this.#length = (this.#length + part.length) | 0;\n`,
    replace: '',
  },
  {
    ...gzip,
    guard: 'the trailer has the checksum',
    find: `    this.#crc = append(this.#crc, part);\n`,
    replace: '',
  },
  {
    ...gzip,
    guard: 'a joined part has the checksum of its texts, too',
    find: `crc32(text, crc >>> 0) | 0`,
    replace: `crc32(text) | 0`,
  },
  {
    ...crc,
    guard: 'a text moves the checksum before it by its length',
    find: `multiply(before, shift) ^ crc`,
    replace: `before ^ crc`,
  },
  {
    ...crc,
    guard: 'the squares of x repeat after 32',
    find: `SQUARES[n % 32]!`,
    replace: `SQUARES[Math.min(n, 31)]!`,
  },
  {
    ...batch,
    guard: 'a batch is compressed once for all connections',
    find: `this.#gzip ??= `,
    replace: `this.#gzip = `,
  },
  {
    ...batch,
    guard: 'frames are compressed without the ids of connections',
    find: `!this.#isSeparable(steps, minBytes)`,
    replace: `steps.length > 0`,
  },
  {
    ...batch,
    guard: 'a frame is compressed once for all connections, although their ids differ',
    find: `      parts.set(frame, part);\n`,
    replace: '',
  },
  {
    ...batch,
    guard: 'ids that several connections have are compressed',
    find: `  protected override compressed(minBytes: number): GzipPart {
    return GzipPart.of(this.bytes, minBytes);
  }`,
    replace: '',
  },
  {
    ...batch,
    guard: 'long ids are compressed',
    find: ` && this.text.length <= sum * 1.125`,
    replace: '',
  },
  {
    ...batch,
    guard: 'short frames are compressed together',
    find: `rests.every((length) => length >= minBytes) && `,
    replace: '',
  },
  {
    ...batch,
    guard: 'frames that no other connection gets are compressed together',
    find: `!steps.some(({ frame }) => parts.has(frame))`,
    replace: `steps.length < 0`,
  },
  {
    ...writer,
    guard: 'a response begins with the header of gzip',
    find: `    if (this.#gzip) this.#send(GzipMember.header);\n`,
    replace: '',
  },
  {
    ...writer,
    guard: 'a response ends with the trailer of gzip',
    find: `    if (this.#gzip && this.#hasBegun && isWritable) this.#send(this.#gzip.end());\n`,
    replace: '',
  },
  {
    ...writer,
    guard: 'a client that has closed its side gets no trailer',
    find: `!isGone(response) && this.#socket?.writable !== false`,
    replace: `!isGone(response)`,
  },
  {
    ...headers,
    guard: 'a response that something else encodes is not compressed',
    find: `given !== undefined || !acceptsGzip`,
    replace: `!acceptsGzip`,
  },
  {
    ...headers,
    guard: 'the encoding that says not to compress is not sent',
    find: `  if (isIdentity) raw.removeHeader('content-encoding');\n`,
    replace: '',
  },
  {
    ...headers,
    guard: 'a route of Fastify says not to compress',
    find: `?? response.getHeader('content-encoding')`,
    replace: `?? raw.getHeader('content-encoding')`,
    tests: [`${COMPRESSION_SPEC} › a route that sets the encoding`],
  },
  {
    ...headers,
    guard: 'Vary keeps what it had',
    find: `withVary(raw.getHeader('vary'), ownVary)`,
    replace: `withVary(ownVary)`,
  },
  {
    ...headers,
    guard: 'a client that refuses gzip gets none',
    find: `weight > 0 && weight >= identity`,
    replace: `weight >= identity`,
  },
  {
    ...headers,
    guard: 'a client that prefers the text as it is gets no gzip',
    find: ` && weight >= identity`,
    replace: '',
  },
  {
    ...headers,
    guard: 'an invalid weight is no permission',
    find: `/^[01](\\.\\d*)?$/.test(q) ? Math.min(Number(q), 1) : 0`,
    replace: `parseFloat(q) || 1`,
  },
  {
    file: 'src/http/sse-responses.ts',
    guard: 'clients without gzip get the text as it is',
    find: `      ...encoding,\n`,
    replace: `      headers: encoding.headers,\n      gzip: this.options.compression ? this.options.compression.minBytes : undefined,\n`,
    tests: [`${COMPRESSION_SPEC} › get the text as it is`],
  },
];
