/**
 * Clients of one server. All clients of a channel get the same bytes, compressed or not, after the first ones: so the bytes of the client that is
 * ahead are decoded once, and those of all others are compared with them.
 */
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { constants, createGunzip } from 'node:zlib';

const buffer = Buffer.alloc(65_536);
const OPENING = 64;
const PATIENCE_MS = 120_000;

/** The bytes of a channel since the last mark, and the text in them. */
class Log {
  bytes = Buffer.alloc(1 << 16);
  length = 0;
  text = '';
  #gunzip;
  #rest = Buffer.alloc(0);

  constructor(isGzip) {
    if (!isGzip) return;
    this.#gunzip = createGunzip({ flush: constants.Z_SYNC_FLUSH });
    this.#gunzip.setEncoding('utf8').on('data', (text) => (this.text = (this.text + text).slice(-64)));
  }

  append(bytes) {
    while (this.length + bytes.length > this.bytes.length)
      this.bytes = Buffer.concat([this.bytes, this.bytes]);
    bytes.copy(this.bytes, this.length);
    this.length += bytes.length;
    if (this.#gunzip) this.decode(bytes);
    else this.text = (this.text + bytes.subarray(-64).toString('latin1')).slice(-64);
  }

  /** The bodies of chunks. */
  decode(bytes) {
    let rest = Buffer.concat([this.#rest, bytes]);
    for (;;) {
      const end = rest.indexOf('\r\n');
      const size = end < 0 ? NaN : parseInt(rest.subarray(0, end).toString('latin1'), 16);
      if (!(rest.length >= end + 4 + size)) break;
      this.#gunzip.write(Buffer.from(rest.subarray(end + 2, end + 2 + size)));
      rest = rest.subarray(end + 4 + size);
    }
    this.#rest = Buffer.from(rest);
  }
}

export class Clients {
  faults = 0;
  #logs = new Map();
  #clients = [];

  /** Opens connections, each with one of the queries, in turn. Those with the same query have to get the same bytes. */
  async open({ port, count, queries, isGzip }) {
    for (const query of queries) this.#logs.set(query, new Log(isGzip));
    let next = 0;
    const loop = async () => {
      while (next < count) await this.#connect(port, queries[next++ % queries.length], isGzip);
    };
    await Promise.all(Array.from({ length: OPENING }, loop));
  }

  #connect(port, query, isGzip) {
    const log = this.#logs.get(query);
    const client = { log, offset: 0, at: 0, isMarked: false, first: Buffer.alloc(0) };
    this.#clients.push(client);
    return new Promise((resolve, reject) => {
      const callback = (length) => {
        this.#take(client, buffer.subarray(0, length), isGzip);
        resolve();
        return true;
      };
      client.socket = connect({ port, host: '127.0.0.1', onread: { buffer, callback } });
      client.socket.on('error', reject);
      client.socket.on('close', () => (this.isClosed ? undefined : this.faults++));
      const accept = isGzip ? 'Accept-Encoding: gzip\r\n' : '';
      client.socket.write(`GET /events?${query} HTTP/1.1\r\nHost: localhost\r\n${accept}\r\n`);
    });
  }

  #take(client, bytes, isGzip) {
    const { log } = client;
    if (!client.isMarked) {
      client.first = Buffer.concat([client.first, bytes]);
      return;
    }
    const known = Math.min(bytes.length, log.length - client.offset);
    if (known > 0 && bytes.compare(log.bytes, client.offset, client.offset + known, 0, known) !== 0)
      this.faults++;
    if (known < bytes.length) log.append(bytes.subarray(Math.max(known, 0)));
    client.offset += bytes.length;
    client.at = performance.now();
  }

  /** From here on, all clients of a channel have to get the same. The first client's bytes begin the text. */
  mark() {
    const begun = new Set();
    for (const client of this.#clients) {
      const isZipped = /^content-encoding: gzip/im.test(client.first.toString('latin1'));
      const body = client.first.subarray(client.first.indexOf('\r\n\r\n') + 4);
      if (isZipped && !begun.has(client.log)) client.log.decode(body);
      begun.add(client.log);
      client.isMarked = true;
      client.first = undefined;
    }
    return this;
  }

  /** Resolves when every client has read the event of this number, with the latencies. */
  async read(number) {
    const start = performance.now();
    const marker = `"n":${number}}`;
    const isDone = () =>
      this.#clients.every(
        ({ log, offset }) => offset === log.length && log.length > 0 && log.text.includes(marker),
      );
    while (!isDone()) {
      await sleep(1);
      if (performance.now() - start > PATIENCE_MS) throw new Error(`Event ${number} is late`);
    }
    const latencies = this.#clients.map(({ at }) => at - start);
    const bytes = this.#clients.reduce((sum, { offset }) => sum + offset, 0);
    for (const client of this.#clients) client.offset = 0;
    for (const log of this.#logs.values()) log.length = 0;
    return { latencies, bytes };
  }

  close() {
    this.isClosed = true;
    for (const { socket } of this.#clients) socket.destroy();
  }
}
