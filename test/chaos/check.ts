import type { HoppingClient } from './client.js';
import type { Entry, Rig } from './rig.js';

/** What was seen while one fault happened, and until the next one. */
export interface Tally {
  delivered: number;
  reconnects: number;
  published: number;
  rejected: number;
  resets: number;
  violations: number;
}

/** What a run has shown, by fault. */
export class Report {
  /** Each in words; none is what is expected. */
  readonly violations: string[] = [];
  readonly tallies = new Map<string, Tally>();

  count(fault: string, what: keyof Tally): void {
    let tally = this.tallies.get(fault);
    if (!tally) {
      tally = { delivered: 0, reconnects: 0, published: 0, rejected: 0, resets: 0, violations: 0 };
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
}

/** Compares what every client got, and what every publisher was told, with the chains that Redis has in the end. */
export async function check(rig: Rig): Promise<Report> {
  const report = new Report();
  for (const problem of rig.problems) report.violate('process', problem);
  const chains = await rig.chains();
  for (const [number, client] of rig.clients.entries()) {
    const losses = rig.losses.get(client.channel)!;
    checkClient({ client, name: `Client ${number}`, losses }, chains.get(client.channel)!, report);
  }
  for (const [channel, chain] of chains) {
    checkChain(channel, chain, report);
    checkPublications([channel, chain], rig, report);
  }
  return report;
}

/** No gap, no duplicate, in order, nothing of another channel; resets and lost events only where Redis has lost some. */
function checkClient(
  { client, name, losses }: { client: HoppingClient; name: string; losses: number },
  chain: Entry[],
  report: Report,
): void {
  const { channel } = client;
  const places = new Map(chain.map(({ id }, place) => [id, place]));
  const seen = new Set<string>();
  let resets = 0;
  let at: number | undefined;
  for (const { id, type, data, during } of client.deliveries) {
    const wrong = (what: string) => report.violate(during, `${name} on ${channel}: ${what}`);
    const place = places.get(id);
    if (type === 'sse.reset' || type === 'sse.open') {
      if (type === 'sse.reset') {
        report.count(during, 'resets');
        if (++resets > losses) wrong(`reset ${resets} after ${losses} losses: ${data}`);
      }
      at = place;
      continue;
    }
    report.count(during, 'delivered');
    if (!data.startsWith(`${channel} `)) wrong(`${id} is of another channel: ${data}`);
    if (seen.has(id)) wrong(`${id} came twice`);
    seen.add(id);
    if (place === undefined) {
      if (losses === 0) wrong(`${id} is in no chain`);
      continue;
    }
    if (chain[place]!.data.replace(/\.+$/, '') !== data) wrong(`${id} has other data: ${data}`);
    if (at !== undefined && place !== at + 1) wrong(`after ${at} came ${place} (${id})`);
    at = place;
  }
  for (const refusal of client.refusals) report.violate('none', `${name} was answered ${refusal}`);
  for (const during of client.reconnects) report.count(during, 'reconnects');
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
    const event = data.replace(/\.+$/, '');
    counts.set(event, (counts.get(event) ?? 0) + 1);
  }
  const outcomes = rig.publishers.flatMap((publisher) => publisher.outcomes);
  for (const { data, id, error, during } of outcomes.filter((outcome) => outcome.channel === channel)) {
    report.count(during, id === undefined ? 'rejected' : 'published');
    const wrong = (what: string) => report.violate(during, `${channel}: ${data} ${what}`);
    const count = counts.get(data) ?? 0;
    if (count > 1) wrong(`is stored ${count} times`);
    if (id !== undefined && count === 0 && rig.losses.get(channel) === 0)
      wrong('was confirmed, and is not stored');
    if (error && !error.mayBePublished && count > 0) {
      wrong(`was said not to be published, and is stored (${error.message})`);
    }
  }
}
