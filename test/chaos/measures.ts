import { createHistogram, monitorEventLoopDelay } from 'node:perf_hooks';
import { cpus } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Memory, Node } from './node.js';
import type { Rig } from './rig.js';

/** Measurements start this long after a fault. */
const CALM_MS = 5_000;
/** Time for a memory sample before the next fault. */
const SAMPLE_MS = 1_000;
/** An event that takes longer shows that its client has not recovered yet. */
const LATE_MS = 1_000;
/** Memory is checked after this time, or a quarter of the run if that is longer, and with at least this many samples. */
const WARM_MS = 300_000;
const SAMPLES = 9;
/** Upper limits. */
const P99_MS = 50;
const STALL_MS = 200;
const RECOVERY_MS = 10_000;
const GROWTH = 0.05;

const KINDS = ['driverMs', 'nodesMs', 'busyMs', 'machineMs', 'quietMs'] as const;

interface Sample extends Memory {
  readonly atMs: number;
}

const percent = (ratio: number) => `${(ratio * 100).toFixed(1)} %`;
const mib = (bytes: number) => `${(bytes / 2 ** 20).toFixed(1)} MiB`;
const median = (numbers: readonly number[]) => numbers.toSorted((a, b) => a - b)[numbers.length >> 1]!;

/** The cost of a soak, and the durations of deliveries and recoveries. */
export class Measures {
  /** A description of each; empty if the run passed. */
  readonly failures: string[] = [];
  readonly #latency = createHistogram();
  readonly #memory = new Map<Node, Sample[]>();
  /** The longest recovery from each fault. */
  readonly #recoveries = new Map<string, number>();
  readonly #beganAt = performance.now();
  readonly #used = { driverMs: 0, nodesMs: 0, busyMs: 0, machineMs: 0, quietMs: 0 };
  readonly #delay = monitorEventLoopDelay();
  #quiet = false;
  #lateAt = 0;
  #stallMs = 0;
  #ownStallMs = 0;

  constructor(
    private readonly rig: Rig,
    private readonly everyMs: number,
  ) {
    this.#delay.enable();
    rig.sightings.onArrival = (latencyMs) => {
      if (latencyMs > LATE_MS) this.#lateAt = performance.now();
      if (this.#quiet) this.#latency.record(Math.max(1, Math.round(latencyMs * 1_000)));
    };
  }

  /** Measures after a fault, until it is time for the next one. */
  readonly pause = async (fault: string, beganAt: number): Promise<void> => {
    const overAt = performance.now();
    await sleep(CALM_MS);
    this.#delay.reset();
    const before = await this.#times();
    this.#quiet = true;
    const nextAt = Math.max(beganAt + this.everyMs, overAt + 2 * CALM_MS);
    await sleep(nextAt - SAMPLE_MS - performance.now());
    this.#quiet = false;
    const after = await this.#times();
    for (const key of KINDS) this.#used[key] += after[key] - before[key];
    this.#stallMs = Math.max(this.#stallMs, after.stallMs);
    this.#ownStallMs = Math.max(this.#ownStallMs, this.#delay.max / 1e6);
    const recoveryMs = Math.max(0, this.#lateAt - overAt);
    this.#recoveries.set(fault, Math.max(recoveryMs, this.#recoveries.get(fault) ?? 0));
    // The garbage collection of a sample does not count as a block of the event loop.
    await Promise.all(this.rig.nodes.map((node) => this.#sample(node)));
    await sleep(nextAt - performance.now());
  };

  /** In Markdown, once all clients have left. */
  async report(): Promise<string> {
    this.#delay.disable();
    const [stays, fresh] = await Promise.all(
      [this.rig.nodes[0]!, this.rig.nodes.at(-1)!].map((node) => node.memory()),
    );
    const left = `After all clients left, the first node: heap ${mib(stays!.heap)}, RSS ${mib(stays!.rss)}; a fresh node: heap ${mib(fresh!.heap)}, RSS ${mib(fresh!.rss)}`;
    const lines = [...this.#latencies(), ...this.#recovered(), ...this.#memories(), left];
    return lines.map((line) => `- ${line}`).join('\n');
  }

  async #sample(node: Node): Promise<void> {
    const samples = this.#memory.get(node) ?? [];
    this.#memory.set(node, samples);
    samples.push({ ...(await node.memory()), atMs: performance.now() - this.#beganAt });
  }

  async #times() {
    const nodes = await Promise.all(this.rig.nodes.map((node) => node.resources()));
    const { user, system } = process.cpuUsage();
    const cores = cpus().map(({ times }) => times);
    const machineMs = cores.reduce((sum, times) => sum + Object.values(times).reduce((a, b) => a + b), 0);
    const idleMs = cores.reduce((sum, { idle }) => sum + idle, 0);
    return {
      machineMs,
      busyMs: machineMs - idleMs,
      driverMs: (user + system) / 1_000,
      nodesMs: nodes.reduce((sum, { cpuMs }) => sum + cpuMs, 0),
      quietMs: performance.now(),
      stallMs: Math.max(...nodes.map(({ stallMs }) => stallMs)),
    };
  }

  *#latencies(): Generator<string> {
    const [p50, p99] = [50, 99].map((each) => this.#latency.percentile(each) / 1_000) as [number, number];
    const { driverMs, nodesMs, busyMs, machineMs, quietMs } = this.#used;
    const max = this.#latency.max / 1_000;
    yield `Publish to client, outside of faults: p50 ${p50.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms, worst ${max.toFixed(1)} ms (${this.#latency.count} events)`;
    yield `Longest block of a node's event loop, outside of faults: ${this.#stallMs} ms`;
    yield `The same for clients, publishers and proxies, which share one event loop: ${Math.round(this.#ownStallMs)} ms`;
    yield `CPU, outside of faults: ${percent(nodesMs / quietMs)} of a core for the nodes, ${percent(driverMs / quietMs)} for clients, publishers and proxies; the machine as a whole was ${percent(busyMs / machineMs)} busy`;
    if (p99 > P99_MS) this.failures.push(`p99 is ${p99.toFixed(1)} ms`);
    if (this.#stallMs > STALL_MS)
      this.failures.push(`The event loop of a node was blocked for ${this.#stallMs} ms`);
  }

  *#recovered(): Generator<string> {
    const longest = [...this.#recoveries].toSorted(([, a], [, b]) => b - a);
    const slow = longest.slice(0, 5).map(([fault, ms]) => `${(ms / 1_000).toFixed(1)} s (${fault})`);
    yield `Last event that took more than ${LATE_MS / 1_000} s, after the end of a fault: ${slow.join(', ')}`;
    for (const [fault, ms] of longest)
      if (ms > RECOVERY_MS) this.failures.push(`${Math.round(ms)} ms to recover: ${fault}`);
  }

  *#memories(): Generator<string> {
    const [[, all], ...others] = [...this.#memory] as [[Node, Sample[]], ...[Node, Sample[]][]];
    const warmMs = Math.max(WARM_MS, (performance.now() - this.#beganAt) / 4);
    const warm = all.filter(({ atMs }) => atMs > warmMs);
    const third = Math.floor(warm.length / 3);
    for (const kind of ['heap', 'rss'] as const) {
      const name = `${kind === 'heap' ? 'Heap after collection' : 'RSS'} of the first node`;
      if (warm.length < SAMPLES) {
        yield `${name}: ${all.map((sample) => mib(sample[kind])).join(', ')}; too few samples to compare`;
        continue;
      }
      const [first, last] = [warm.slice(0, third), warm.slice(-third)].map((samples) =>
        median(samples.map((sample) => sample[kind])),
      ) as [number, number];
      const all3 = all.filter((_, n) => n % 3 === 0).map((sample) => mib(sample[kind]));
      yield `${name}: ${mib(first)} in the first third after ${Math.round(warmMs / 1_000)} s, ${mib(last)} in the last (${percent(last / first - 1)}); every third sample: ${all3.join(', ')}`;
      if (last > first * (1 + GROWTH)) this.failures.push(`${name} grew from ${mib(first)} to ${mib(last)}`);
    }
    for (const [, samples] of others) {
      const { atMs, heap, rss } = samples.at(-1)!;
      const livedMs = atMs - samples[0]!.atMs;
      yield `Another node, after ${Math.round(livedMs / 1_000)} s: heap ${mib(heap)}, RSS ${mib(rss)}`;
    }
  }
}
