import {
  Counter,
  Gauge,
  Histogram,
  type Metric,
  type Registry,
  register as defaultRegistry,
  type RegistryContentType,
} from 'prom-client';
import { checkKeys } from '../common/sse.errors.js';
import type { SseMetrics, SseStats } from '../options/sse.metrics.js';

/** Registry and names of the metrics. All fields are optional. */
export interface PrometheusMetricsOptions {
  /** Of prom-client. @default its default registry */
  registry?: Registry<RegistryContentType>;
  /** Starts the name of every metric. @default 'sse_' */
  prefix?: string;
  /** Upper bounds of the buckets of the publish duration, in seconds. @default 1 ms to 5 s */
  buckets?: number[];
}

/** A number, or one for each value of a label. */
type Value = (now: SseStats) => number | Readonly<Record<string, number>>;

const BUCKETS = [0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];

/**
 * The module's metrics for Prometheus, for the option `metrics`:
 *
 *     SseModule.forRoot({ redis: url, metrics: new PrometheusMetrics() })
 *
 * Values are read when they are scraped; between scrapes, the only cost is one observation per publication. The metrics are removed
 * from the registry when the application has shut down.
 */
export class PrometheusMetrics implements SseMetrics {
  readonly #options: Required<PrometheusMetricsOptions>;
  readonly #duration: Histogram<'outcome'>;

  /** @throws SseError `SSE_OPTIONS` for an unknown option */
  constructor(options: PrometheusMetricsOptions = {}) {
    checkKeys('SSE_OPTIONS', 'options', options, ['registry', 'prefix', 'buckets']);
    const { registry = defaultRegistry, prefix = 'sse_', buckets = BUCKETS } = options;
    this.#options = { registry, prefix, buckets };
    this.#duration = new Histogram({
      name: `${prefix}publish_duration_seconds`,
      help: 'Time from the call of publish() or publishAll() to the answer of the broker',
      labelNames: ['outcome'],
      buckets,
      registers: [],
    });
  }

  start(stats: () => SseStats): () => void {
    const { registry } = this.#options;
    const metrics = [this.#duration, ...this.#read(stats)] as (Metric & { name: string })[];
    const existing = metrics.find(({ name }) => registry.getSingleMetric(name));
    if (existing) {
      throw new Error(
        `The registry already has a metric named ${existing.name}: give PrometheusMetrics another \`prefix\`, or its own \`registry\``,
      );
    }
    for (const metric of metrics) registry.registerMetric(metric);
    return () => {
      for (const metric of metrics) {
        // The application may have cleared the registry and registered others.
        if (registry.getSingleMetric(metric.name) === metric) registry.removeSingleMetric(metric.name);
      }
    };
  }

  publication(ms: number, outcome: 'published' | 'rejected'): void {
    this.#duration.observe({ outcome }, ms / 1_000);
  }

  #read(stats: () => SseStats): Metric[] {
    const definition = (name: string, help: string, value: Value, label = '') => ({
      name: this.#options.prefix + name,
      help,
      labelNames: label === '' ? [] : [label],
      registers: [],
      collect(this: Pick<Counter, 'reset' | 'inc'>) {
        const now = value(stats());
        this.reset();
        if (typeof now === 'number') this.inc(now);
        else for (const [each, count] of Object.entries(now)) this.inc({ [label]: each }, count);
      },
    });
    const gauge = (...of: Parameters<typeof definition>) => new Gauge(definition(...of));
    const counter = (...of: Parameters<typeof definition>) => new Counter(definition(...of));
    const stateOf = (now: SseStats) =>
      Object.fromEntries(['up', 'down', 'deaf'].map((state) => [state, Number(state === now.state)]));
    return [
      gauge('connections', 'Open connections', ({ connections }) => connections),
      gauge('channels', 'Subscribed channels', ({ channels }) => channels),
      gauge('draining', '1 while the application closes its connections', ({ draining }) => Number(draining)),
      gauge(
        'redis_state',
        '1 for the current state: up, down, or deaf (published events do not arrive)',
        stateOf,
        'state',
      ),
      counter('published_total', 'Events that the broker confirmed', ({ published }) => published),
      counter('publish_rejected_total', 'Events that the broker did not confirm', ({ rejected }) => rejected),
      counter('delivered_total', 'Events delivered to connections', ({ delivered }) => delivered),
      counter('replayed_total', 'Delivered events that the client had missed', ({ replayed }) => replayed),
      counter('resets_total', 'sse.reset events', ({ resets }) => resets, 'reason'),
      counter(
        'gaps_healed_total',
        'Times that a channel read missing events from its history',
        ({ gaps }) => gaps,
      ),
      counter('dropped_total', 'Messages that are no events', ({ dropped }) => dropped),
      counter('slow_total', 'Connections closed because the client did not read', ({ slow }) => slow),
      counter(
        'behind_total',
        'Times that a client read too slowly for live delivery',
        ({ behind }) => behind,
      ),
      gauge('streams', 'Streams that this process produces', ({ streams }) => streams.live),
      counter('streams_started_total', 'Streams that were started', ({ streams }) => streams.started),
      counter('streams_ended_total', 'Streams that have ended', ({ streams }) => streams.ended, 'status'),
      counter('refused_total', 'Refused connections', ({ refused }) => refused),
    ];
  }
}
