import { until } from '../support/until.js';
import { type Delivery, HoppingClient, Sightings } from './client.js';
import type { Outcome } from './publisher.js';
import type { Entry, Rig } from './rig.js';

/** The number of events of each channel from which a new client resumes. */
const PROBES = 3;

/** In this fault a master loses events that it sent but did not confirm, and their publisher retries. */
const TAKEOVER = 'Redis fails over to a lagging replica';

/** Counts from the start of one fault until the next one. */
export interface Tally {
  delivered: number;
  reconnects: number;
  published: number;
  rejected: number;
  /** Confirmed by Redis and lost afterwards. */
  lost: number;
  resets: number;
  violations: number;
}

/** The results of a run, by fault. */
export class Report {
  /** A description of each; empty if the run passed. */
  readonly violations: string[] = [];
  readonly tallies = new Map<string, Tally>();

  count(fault: string, what: keyof Tally): void {
    let tally = this.tallies.get(fault);
    if (!tally) {
      tally = { delivered: 0, reconnects: 0, published: 0, rejected: 0, lost: 0, resets: 0, violations: 0 };
      this.tallies.set(fault, tally);
    }
    tally[what]++;
  }

  violate(fault: string, what: string): void {
    this.count(fault, 'violations');
    this.violations.push(`${what} (${fault})`);
  }

  sum(what: keyof Tally): number {
    return [...this.tallies.values()].reduce((sum, tally) => sum + tally[what], 0);
  }

  /** In Markdown, a row for each fault. */
  table(happened: Map<string, number>): string {
    const columns: (keyof Tally)[] = [
      'delivered',
      'reconnects',
      'published',
      'rejected',
      'lost',
      'violations',
      'resets',
    ];
    const row = (cells: unknown[]) => `| ${cells.join(' | ')} |`;
    const rows = [...this.tallies].map(([fault, tally]) =>
      row([fault, happened.get(fault) ?? '', ...columns.map((column) => tally[column])]),
    );
    const times = [...happened.values()].reduce((sum, count) => sum + count, 0);
    const sums = row(['all', times, ...columns.map((column) => this.sum(column))]);
    return [row(['fault', 'times', ...columns]), row(Array(9).fill('---')), ...rows, sums].join('\n');
  }
}

/** Compares the deliveries of every client and the results of every publisher with the stored chains at the end. */
export async function check(rig: Rig): Promise<Report> {
  const report = new Report();
  for (const problem of rig.problems) report.violate('process', problem);
  for (const channel of rig.channels) {
    const chain = await rig.chain(channel);
    const indexes = new Map(chain.map(({ id }, index) => [id, index]));
    for (const [number, client] of rig.clients.entries()) {
      if (client.channel !== channel) continue;
      const losses = rig.losses.get(channel)!;
      checkClient({ client, name: `Client ${number}`, losses }, { chain, indexes, rig }, report);
    }
    checkChain(channel, chain, report);
    checkPublications([channel, chain], rig, report);
    for (let left = PROBES; left > 0; left--) await checkCursor([channel, chain], rig, report);
  }
  return report;
}

/** No gap, no duplicate, in order, no event of another channel. Resets and lost events only after a loss of Redis. */
function checkClient(
  { client, name, losses }: { client: HoppingClient; name: string; losses: number },
  { chain, indexes, rig }: { chain: Entry[]; indexes: ReadonlyMap<string, number>; rig: Rig },
  report: Report,
): void {
  const { channel, deliveries, resumedAt } = client;
  const earliest = new Map(deliveries.map((each, number) => [keyOf(each), number] as const).toReversed());
  const seen = new Set<string>();
  const latest = new Map(deliveries.map((each, number) => [keyOf(each), number]));
  let resets = 0;
  let at: number | undefined;
  for (const [number, delivery] of deliveries.entries()) {
    const { id, type, data, during } = delivery;
    const last = deliveries[number - 1];
    if (last && resumedAt.has(number) && mayComeAgain(last, rig) && earliest.get(keyOf(last))! < number - 1) {
      // If two events share an id of the publisher, a client resumes after the earlier one (docs/delivery.md).
      seen.clear();
      at = undefined;
    }
    const wrong = (what: string) => report.violate(during, `${name} on ${channel}: ${what}`);
    const index = indexes.get(id);
    if (type === 'sse.reset' || type === 'sse.open') {
      if (type === 'sse.reset') {
        report.count(during, 'resets');
        if (++resets > losses) wrong(`reset ${resets} after ${losses} losses: ${data}`);
        // What Redis has lost may come again (docs/delivery.md).
        for (const each of seen) if (!indexes.has(each)) seen.delete(each);
      }
      at = index;
      continue;
    }
    report.count(during, 'delivered');
    if (!data.startsWith(`${channel} `)) wrong(`${id} is of another channel: ${data}`);
    const mayRepeat = mayComeAgain(delivery, rig);
    if (mayRepeat && latest.get(keyOf(delivery)) !== number) continue;
    if (seen.has(id)) wrong(`${id} came twice, after ${resets} resets`);
    seen.add(id);
    if (index === undefined) {
      if (losses === 0) wrong(`${id} is in no chain`);
      continue;
    }
    if (chain[index]!.data !== data) wrong(`${id} has other data: ${data}`);
    // A client that reconnects with the id of the lost event resumes after the stored one.
    const isAhead = mayRepeat && index > (at ?? index);
    if (at !== undefined && index !== at + 1 && !isAhead) wrong(`after ${at} came ${index} (${id})`);
    at = index;
  }
  for (const refusal of client.refusals) report.violate('none', `${name} got status ${refusal}`);
  for (const during of client.reconnects) report.count(during, 'reconnects');
}

const keyOf = ({ id, type = '' }: Delivery) => `${type} ${id}`;

/** Whether the publisher may have stored the event a second time. Only its own id is then the same. */
function mayComeAgain({ id, data }: Delivery, { publishers }: Rig): boolean {
  const [, publisher, number] = data.split(' ').map(Number) as [number, number, number];
  return id.startsWith('own-') && publishers[publisher]!.outcomes[number]!.during === TAKEOVER;
}

/** Each publisher's events are stored in the order of its calls. */
function checkChain(channel: string, chain: Entry[], report: Report): void {
  const last = new Map<string, number>();
  for (const { data } of chain) {
    const [, publisher, number] = data.split(' ') as [string, string, string];
    const before = last.get(publisher) ?? -1;
    if (Number(number) <= before) report.violate('none', `${channel}: ${data} is stored after ${before}`);
    last.set(publisher, Number(number));
  }
}

/** Confirmed events are stored once, rejected ones are not, and doubtful ones at most once. */
function checkPublications([channel, chain]: [string, Entry[]], rig: Rig, report: Report): void {
  const counts = new Map<string, number>();
  for (const { data } of chain) {
    counts.set(data, (counts.get(data) ?? 0) + 1);
  }
  const judge = ({ data, id, error, during }: Outcome) => {
    report.count(during, id === undefined ? 'rejected' : 'published');
    const wrong = (what: string) => report.violate(during, `${channel}: ${data} ${what}`);
    const count = counts.get(data) ?? 0;
    if (count > 1) wrong(`is stored ${count} times`);
    if (id !== undefined && count === 0) {
      if (rig.losses.get(channel) === 0) wrong('was confirmed but is not stored');
      report.count(during, 'lost');
    }
    if (error && !error.mayBePublished && count > 0) {
      wrong(`was rejected as not published but is stored (${error.message})`);
    }
  };
  for (const { outcomes } of rig.publishers) {
    for (const outcome of outcomes) if (outcome.channel === channel) judge(outcome);
  }
}

/** From any event on, a client gets all later events, and of the lost ones those that its node still buffers. */
async function checkCursor([channel, chain]: [string, Entry[]], rig: Rig, report: Report): Promise<void> {
  const index = rig.random.below(chain.length - 1);
  const lastEventId = chain[index]!.id;
  const { ports, random } = rig;
  const probe = new HoppingClient({ channel, ports, random, sightings: new Sightings(), lastEventId });
  probe.settle();
  const rest = chain.slice(index + 1).map(({ id }) => id);
  await until(() => probe.lastEventId === chain.at(-1)!.id).catch(() => undefined);
  probe.close();
  const isThere = new Set(chain.map(({ id }) => id));
  const latest = new Map(probe.deliveries.map((each, number) => [keyOf(each), number]));
  const counts = (delivery: Delivery, number: number) => {
    const { id, type } = delivery;
    if (type !== undefined || rig.losses.get(channel) === 0) return true;
    // The node may still buffer the first publication of an event that was stored again under the publisher's id.
    return isThere.has(id) && (latest.get(keyOf(delivery)) === number || !mayComeAgain(delivery, rig));
  };
  const got = probe.deliveries.filter(counts).map(({ id }) => id);
  if (got.join() !== rest.join()) {
    report.violate('none', `${channel}: from ${lastEventId} on came ${got.length} of ${rest.length} events`);
  }
}
