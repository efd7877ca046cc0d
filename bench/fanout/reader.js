/**
 * Checks that each client receives every event, once, and in order.
 *
 * It must cost less than the server. So it has no parser, and finds events by the first and the last bytes of their data.
 * All clients of a channel get the same bytes. So it does not scan a read again if it equals the previous read of a client
 * at the same position.
 */
import { now } from './plan.js';

const FIRST = Buffer.from('{"c":');
const LAST = Buffer.from('"}');
const END_OF_HEAD = '\r\n\r\n';
const BUCKET_MICROS = 10;
const [ZERO, COMMA, BRACE] = [...'0,{'].map((character) => character.charCodeAt(0));

/** The position of one client. */
export class Position {
  isOpen = false;
  /** The expected number of the next event, for each of the two channels of a client. */
  own = 0;
  shared = 0;
  missing = undefined;
  carry = undefined;

  reset() {
    this.own = this.shared = 0;
    this.missing = undefined;
  }
}

export class Reader {
  /** Sum of all positions: events that arrived or were skipped. */
  advanced = 0;
  repeated = 0;
  disordered = 0;
  latencies = undefined;
  #bytes = Buffer.alloc(65_536);
  #memo = { length: -1 };

  reset(timed) {
    this.advanced = this.repeated = this.disordered = 0;
    this.latencies = timed ? new Uint32Array(1_000_000) : undefined;
    this.#memo = { length: -1 };
  }

  take(position, buffer, length) {
    const memo = this.#memo;
    const isKnown =
      length === memo.length &&
      position.own === memo.own &&
      position.shared === memo.shared &&
      position.carry === undefined &&
      this.#bytes.compare(buffer, 0, length, 0, length) === 0;
    if (!isKnown) return this.#read(position, buffer.subarray(0, length));
    position.own += memo.ownEvents;
    position.shared += memo.sharedEvents;
    this.advanced += memo.ownEvents + memo.sharedEvents;
    if (this.latencies) for (const time of memo.times) this.#time(time);
  }

  #read(position, read) {
    const { own, shared, carry } = position;
    const bytes = carry === undefined ? read : Buffer.concat([carry, read]);
    const start = position.isOpen ? 0 : this.#readHead(position, bytes);
    if (!position.isOpen) return;
    const times = [];
    const end = this.#readEvents(position, bytes, start, times);
    const rest = bytes.indexOf(BRACE, end);
    position.carry = rest < 0 ? undefined : Buffer.from(bytes.subarray(rest));
    if (carry !== undefined || rest >= 0 || start > 0 || position.missing || read.length > this.#bytes.length)
      return;
    read.copy(this.#bytes);
    const [ownEvents, sharedEvents] = [position.own - own, position.shared - shared];
    this.#memo = { length: read.length, own, shared, ownEvents, sharedEvents, times };
  }

  #readHead(position, bytes) {
    const end = bytes.indexOf(END_OF_HEAD);
    position.isOpen = end >= 0;
    position.carry = position.isOpen ? undefined : Buffer.from(bytes);
    if (position.isOpen && !bytes.subarray(0, 15).toString().startsWith('HTTP/1.1 200')) {
      throw new Error(`No stream: ${bytes}`);
    }
    return end + END_OF_HEAD.length;
  }

  /** @returns the end of the last complete event */
  #readEvents(position, bytes, start, times) {
    for (let end = start; ;) {
      const first = bytes.indexOf(FIRST, end);
      const last = first < 0 ? -1 : bytes.indexOf(LAST, first);
      if (last < 0) return end;
      const isShared = bytes[first + FIRST.length] !== ZERO;
      const number = numberAt(bytes, first + '{"c":0,"n":'.length);
      const time = numberAt(bytes, number.end + ',"t":'.length).value;
      times.push(time);
      if (this.latencies) this.#time(time);
      this.#count(position, isShared ? 'shared' : 'own', number.value);
      end = last + LAST.length;
    }
  }

  #count(position, channel, number) {
    const passed = number - position[channel];
    if (passed < 0) {
      if (position.missing?.delete(`${channel}${number}`)) this.disordered++;
      else this.repeated++;
      return;
    }
    if (passed > 0) position.missing ??= new Set();
    for (let n = position[channel]; n < number; n++) position.missing.add(`${channel}${n}`);
    position[channel] = number + 1;
    this.advanced += passed + 1;
  }

  #time(sent) {
    const bucket = Math.floor((now() - sent) / BUCKET_MICROS);
    this.latencies[Math.min(Math.max(bucket, 0), this.latencies.length - 1)]++;
  }

  /** In milliseconds. */
  quantile(share) {
    const total = this.latencies.reduce((sum, count) => sum + count, 0);
    let seen = 0;
    const bucket = this.latencies.findIndex((count) => (seen += count) >= share * total);
    return (bucket * BUCKET_MICROS) / 1_000;
  }
}

function numberAt(bytes, start) {
  let [value, end] = [0, start];
  for (; bytes[end] !== COMMA; end++) value = value * 10 + bytes[end] - ZERO;
  return { value, end };
}
