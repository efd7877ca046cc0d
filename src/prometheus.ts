import {
  Counter,
  Gauge,
  Histogram,
  type Metric,
  type Registry,
  register as defaultRegistry,
  type RegistryContentType,
} from 'prom-client';
import { checkKeys } from './sse.errors.js';
import type { SseMetrics, SseStats } from './sse.metrics.js';

/** Where the metrics go, and what they are called. All fields are optional. */
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
 * The module's figures as Prometheus metrics, for the option `metrics`:
 *
 *     SseModule.forRoot({ redis: url, metrics: new PrometheusMetrics() })
 *
 * They are read when they are scraped, and cost nothing in between, but for one observation per publish. They leave the
 * registry when the application has ended.
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
      help: 'Time from the call of publish() to the answer of the broker',
      labelNames: ['outcome'],
      buckets,
      registers: [],
    });
  }

  start(stats: () => SseStats): () => void {
    const { registry } = this.#options;
    const metrics = [this.#duration, ...this.#read(stats)] as (Metric & { name: string })[];
    const taken = metrics.find(({ name }) => registry.getSingleMetric(name));
    if (taken) {
      throw new Error(
        `The registry has a metric called ${taken.name} already: give PrometheusMetrics another \`prefix\`, or a \`registry\` of its own`,
      );
    }
    for (const metric of metrics) registry.registerMetric(metric);
    return () => {
      for (const metric of metrics) {
        // Somebody may have cleared it, and put others there.
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
      gauge('connections', 'Open streams', ({ streams }) => streams),
      gauge('channels', 'Channels that are subscribed to', ({ channels }) => channels),
      gauge('draining', '1 while the application is ending its streams', ({ draining }) => Number(draining)),
      gauge(
        'redis_state',
        '1 for what it is: up, down, or deaf (published events do not arrive)',
        stateOf,
        'state',
      ),
      counter('published_total', 'Events that the broker has confirmed', ({ published }) => published),
      counter('publish_rejected_total', 'Events that it has not', ({ rejected }) => rejected),
      counter('delivered_total', 'Events that streams were given', ({ delivered }) => delivered),
      counter('replayed_total', 'Those that had been missed', ({ replayed }) => replayed),
      counter('resets_total', 'Each sse.reset that a stream got', ({ resets }) => resets, 'reason'),
      counter(
        'gaps_healed_total',
        'Times that a channel read from its history what had not arrived',
        ({ gaps }) => gaps,
      ),
      counter('dropped_total', 'Messages that are no events', ({ dropped }) => dropped),
      counter('cut_total', 'Clients that were cut because they did not read', ({ cut }) => cut),
      counter('behind_total', 'Times that a client read too slowly for live events', ({ behind }) => behind),
      counter('refused_total', 'Streams that were not begun', ({ refused }) => refused),
    ];
  }
}
