import { ChannelHub } from '../../src/channel/channel-hub.js';
import type { ChannelEvent } from '../../src/channel/channel-event.js';
import { noMetrics } from '../../src/channel/channel-metrics.js';
import { HistoryReader } from '../../src/channel/history-reader.js';
import type { Subscriber } from '../../src/channel/subscribers.js';
import { ModelBroker, ModelStore } from './model-broker.js';
import { until } from './until.js';

const PREFIX = '1763884800000-';

/** The cursor with this number in the model store. */
export const at = (number: number): string => `${PREFIX}${number}`;

const numberOf = (cursor: string) => cursor.replace(PREFIX, '');

/** Records the calls to a subscriber, with the numbers of cursors. */
export class Recorder implements Subscriber {
  readonly calls: string[] = [];
  fails = false;

  open(cursor: string): void {
    this.calls.push(`open ${numberOf(cursor)}`);
  }

  next({ event: { type, id, data }, cursor }: ChannelEvent): void {
    if (this.fails) throw new Error('this subscriber fails');
    const reason = type === 'sse.reset' ? `reset ${(data as { reason: string }).reason} ` : '';
    this.calls.push(`${reason}${numberOf(id)}${id === cursor ? '' : ` at ${numberOf(cursor)}`}`);
  }

  complete(): void {
    this.calls.push('complete');
  }
}

/** A hub on a broker whose messages and replies the test delivers. */
export function startHub(options: Partial<ConstructorParameters<typeof ChannelHub>[2]> = {}) {
  const store = new ModelStore();
  const broker = new ModelBroker(store);
  const dropped: string[] = [];
  const hub = new ChannelHub('c', broker, {
    maxReplayEvents: 1_000,
    maxReplayBytes: 1_000_000,
    reader: new HistoryReader(broker),
    metrics: noMetrics(),
    onDropped: (channel) => dropped.push(channel),
    ...options,
  });
  const publish = (count: number, id?: string) => {
    for (let k = 0; k < count; k++) store.publish(id);
  };
  const attach = (lastEventId?: string, subscriber = new Recorder()) => {
    hub.whenLive(() => hub.attach(subscriber, lastEventId)?.());
    return subscriber;
  };
  /** Makes the hub live at event 5. The chain begins at 1. */
  const live = async () => {
    publish(4);
    broker.connect();
    await until(() => hub.live);
    broker.reads = 0;
  };
  return { store, broker, hub, dropped, publish, attach, live };
}
