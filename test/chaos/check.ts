import type { Rig } from './rig.js';

/** What a run has shown. */
export interface Report {
  readonly delivered: number;
  readonly reconnects: number;
  readonly published: number;
  readonly rejected: number;
  readonly resets: number;
  /** Each in words; none is what is expected. */
  readonly violations: string[];
}

/**
 * Compares what every client got, and what every publisher was told, with the chains that Redis has in the end.
 *
 * @param lossy whether Redis was made to lose events: only then there may be resets, and events that are in no chain
 */
export async function check(rig: Rig, lossy: boolean): Promise<Report> {
  const violations = [...rig.problems];
  const chains = await rig.chains();
  let [delivered, reconnects, resets] = [0, 0, 0];
  for (const [number, client] of rig.clients.entries()) {
    const chain = chains.get(client.channel)!;
    const places = new Map(chain.map(({ id }, place) => [id, place]));
    const wrong = (what: string) => violations.push(`Client ${number} on ${client.channel}: ${what}`);
    const seen = new Set<string>();
    let at: number | undefined;
    for (const { id, type, data } of client.deliveries) {
      const place = places.get(id);
      if (type === 'sse.reset') {
        resets++;
        if (!lossy) wrong(`reset without a cause: ${data}`);
        at = place;
        continue;
      }
      if (type === 'sse.open') {
        at = place;
        continue;
      }
      delivered++;
      if (seen.has(id)) wrong(`${id} came twice`);
      seen.add(id);
      if (place === undefined) {
        if (!lossy) wrong(`${id} is in no chain`);
        continue;
      }
      if (chain[place]!.data !== data) wrong(`${id} has other data: ${data}`);
      if (at !== undefined && place !== at + 1) wrong(`after ${at} came ${place} (${id})`);
      at = place;
    }
    for (const refusal of client.refusals) wrong(`was answered ${refusal}`);
    reconnects += client.reconnects;
  }
  violations.push(...checkPublications(rig, chains, lossy));
  const published = rig.outcomes.filter(({ id }) => id !== undefined).length;
  const rejected = rig.outcomes.length - published;
  return { delivered, reconnects, published, rejected, resets, violations };
}

function checkPublications(rig: Rig, chains: Awaited<ReturnType<Rig['chains']>>, lossy: boolean): string[] {
  const violations: string[] = [];
  for (const [channel, chain] of chains) {
    const counts = new Map<string, number>();
    const last = new Map<string, number>();
    for (const { data } of chain) {
      counts.set(data, (counts.get(data) ?? 0) + 1);
      const [publisher, number] = data.split(' ') as [string, string];
      if (Number(number) <= (last.get(publisher) ?? -1)) {
        violations.push(`${channel}: ${data} is stored after ${last.get(publisher)}`);
      }
      last.set(publisher, Number(number));
    }
    for (const { data, id, error } of rig.outcomes.filter((outcome) => outcome.channel === channel)) {
      const count = counts.get(data) ?? 0;
      if (count > 1) violations.push(`${channel}: ${data} is stored ${count} times`);
      if (id !== undefined && count === 0 && !lossy)
        violations.push(`${channel}: ${data} was confirmed, and is not stored`);
      if (error && !error.mayBePublished && count > 0) {
        violations.push(`${channel}: ${data} was said not to be published, and is stored (${error.message})`);
      }
    }
  }
  return violations;
}
