import type { SseStreamEnd } from '../../src/broker/streams.js';
import type { HoppingClient } from './client.js';
import { describeEnd, type Run, type Stream, type StreamTraffic } from './streams.js';

type Wrong = (what: string) => unknown;
/** By generation, each with the id of the terminal event. */
type Ends = ReadonlyMap<string, ReadonlySet<string>>;

/** Compares what all readers, nodes and producers were told. @returns a description of each violation */
export async function checkStreams(traffic: StreamTraffic): Promise<string[]> {
  const violations = [...traffic.rig.problems];
  for (const stream of traffic.streams) {
    const wrong = (what: string) => violations.push(`Stream ${stream.id}: ${what}`);
    const ends = new Map<string, Set<string>>();
    for (const [n, reader] of stream.readers.entries()) {
      checkReader(stream, reader, { ends, wrong: (what) => wrong(`reader ${n}: ${what}`) });
    }
    for (const [generation, all] of ends) {
      if (all.size > 1) wrong(`generation ${generation} has the ends ${[...all].join(' and ')}`);
    }
    checkAborts(stream, ends, wrong);
    await checkStatus(stream, { traffic, ends, wrong });
  }
  return violations;
}

/** All nodes, the producer and the readers tell the same end. */
async function checkStatus(
  stream: Stream,
  { traffic, ends, wrong }: { traffic: StreamTraffic; ends: Ends; wrong: Wrong },
): Promise<void> {
  const { nodes } = traffic.rig;
  const states = await Promise.all(nodes.map((node) => traffic.status(stream, node)));
  const [first, ...others] = new Set(states.map((state) => JSON.stringify(state)));
  if (others.length > 0) wrong(`nodes have the states ${[first, ...others].join(' and ')}`);
  const { state, reason, lastEventId } = states[0]!;
  const run = stream.runs.at(-1)!;
  const [told] = ends.get(run.generation) ?? [];
  const known = describeEnd({ status: state as SseStreamEnd['status'], reason });
  if (stream.isGone ? state !== 'missing' : told !== `${known} ${lastEventId}`) {
    wrong(`readers were told ${told}, status() is ${first}`);
  }
  for (const { generation, produced } of stream.runs) {
    if (!produced) continue;
    const { end, isAborted } = produced;
    const [toldOf = end!.status] = ends.get(generation) ?? [];
    if (!toldOf.startsWith(end!.status)) wrong(`its producer was told ${describeEnd(end!)}, not ${toldOf}`);
    const isStopped = end!.status === 'aborted' || end!.status === 'lost';
    if (isAborted !== isStopped) wrong(`${describeEnd(end!)}, and the signal is aborted: ${isAborted}`);
  }
}

/**
 * Each generation that a reader has seen is its run's sequence from the first event on, without gap or repetition, and nothing follows its
 * end. A reader sees the same generation again after a loss only.
 */
function checkReader(
  stream: Stream,
  { deliveries, refusals }: HoppingClient,
  { ends, wrong }: { ends: Map<string, Set<string>>; wrong: Wrong },
): void {
  let run: Run | undefined;
  let [next, losses] = [0, 0];
  let end: string | undefined;
  for (const { id, type, data } of deliveries) {
    if (type === 'sse.open' || type === 'sse.reset') {
      const before = run;
      run = stream.runs.find(({ generation }) => generation === id);
      if (!run && !(stream.losses > 0 && id === '')) wrong(`${type} with the unknown generation ${id}`);
      if (type === 'sse.open' && before) wrong(`sse.open after ${before.generation}`);
      if (before && run && run.number < before.number)
        wrong(`back from run ${before.number} to ${run.number}`);
      const isLoss = type === 'sse.reset' && (run === undefined || before === undefined || run === before);
      if (isLoss && ++losses > stream.losses) wrong(`reset ${losses} after ${stream.losses} losses: ${data}`);
      [next, end] = [0, undefined];
      continue;
    }
    if (end !== undefined) wrong(`${data} came after ${end}`);
    if (type === 'sse.end') {
      end = describeEnd(JSON.parse(data) as SseStreamEnd);
      const generation = run?.generation ?? '';
      ends.set(generation, (ends.get(generation) ?? new Set()).add(`${end} ${id}`));
      if (run ? !run.ends.includes(end) : end !== 'lost expired')
        wrong(`the end is ${end}, not ${run?.ends.join(' or ')}`);
      const written = run?.produced?.written;
      if (end === 'done' && next !== written) wrong(`done after ${next} of ${written} events`);
      continue;
    }
    const wanted = `${stream.id} ${next} ${run?.number}`;
    // All later ones would be wrong, too.
    if (data !== wanted) return void wrong(`${data} (${id}) came, not ${wanted}`);
    next++;
  }
  if (end === undefined && !(stream.isGone && deliveries.length === 0)) wrong(`no end after ${next} events`);
  for (const refusal of refusals) wrong(`status ${refusal}`);
}

/** `stopped` means that the owner has ended the stream for that request. */
function checkAborts({ aborts }: Stream, ends: Ends, wrong: Wrong): void {
  for (const { run, reason, answer } of aborts) {
    const [end = ''] = ends.get(run.generation) ?? [];
    const isStopped = end.startsWith(`aborted ${reason} `);
    const isHonest =
      answer === 'stopped' ? isStopped : answer === 'ended' ? !isStopped : answer === 'requested';
    if (!isHonest) wrong(`abort() has answered ${answer}, and the end is ${end}`);
  }
}
