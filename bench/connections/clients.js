/** Plain sockets of one process, which read event streams, and check that each event arrives once and in order. */
import { connect } from 'node:net';
import { answer } from '../fanout/ipc.js';

/** Requests whose response has not begun. */
const IN_FLIGHT = 200;
const EVENT = /id: (\S+)\ndata: (\d+)\n/g;

let clients = [];
let [opening, failed] = [0, 0];
let onOpen = () => undefined;

class Client {
  /** The number of the last event, and its id. */
  last = 0;
  id = undefined;
  faults = 0;
  isOpen = false;
  beats = 0;
  #rest = '';

  open({ port, address }) {
    this.isOpen = false;
    this.#rest = '';
    opening++;
    const socket = connect({ port, host: address });
    this.socket = socket;
    const resume = this.id === undefined ? '' : `Last-Event-ID: ${this.id}\r\n`;
    socket.write(`GET /events HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n${resume}\r\n`);
    socket.setEncoding('latin1');
    socket.on('error', () => undefined);
    socket.on('data', (text) => this.#read(text));
    socket.on('close', () => {
      if (!this.isOpen) this.#settle();
      if (this.socket === socket) failed++;
    });
  }

  close() {
    const { socket } = this;
    this.socket = undefined;
    socket.destroy();
  }

  #settle() {
    opening--;
    onOpen();
  }

  #read(text) {
    const all = this.#rest + text;
    if (!this.isOpen) {
      const end = all.indexOf('\r\n\r\n');
      if (end < 0) return void (this.#rest = all);
      if (!all.startsWith('HTTP/1.1 200')) failed++;
      this.isOpen = true;
      this.#settle();
    }
    if (text.includes('\n:\n')) this.beats++;
    this.id = /event: sse\.(?:open|position)\nid: (\S+)/.exec(all)?.[1] ?? this.id;
    let end = 0;
    for (const found of all.matchAll(EVENT)) {
      const number = Number(found[2]);
      if (number !== this.last + 1) this.faults++;
      this.last = number;
      this.id = found[1];
      end = found.index + found[0].length;
    }
    this.#rest = all.slice(Math.max(end, all.length - 200));
  }
}

async function openAll(target) {
  for (const client of clients) {
    while (opening >= IN_FLIGHT) await new Promise((resolve) => (onOpen = resolve));
    client.open(target);
  }
  while (opening > 0) await new Promise((resolve) => (onOpen = resolve));
}

answer({
  async open(target, count) {
    clients = Array.from({ length: count }, () => new Client());
    await openAll(target);
  },
  close() {
    for (const client of clients) client.close();
  },
  reopen: (target) => openAll(target),
  report(number) {
    const sum = (of) => clients.reduce((total, client) => total + of(client), 0);
    return {
      read: sum(({ last }) => Number(last === number)),
      beaten: sum(({ beats }) => Number(beats > 0)),
      faults: sum(({ faults }) => faults),
      failed,
    };
  },
});
