import { beforeEach, describe, expect, it } from '@jest/globals';
import { ModelBroker, ModelStore } from '../../test/support/model-broker.js';
import { type ChannelMetrics, noMetrics } from './channel-metrics.js';
import type { ChannelEvent } from './channel-event.js';
import { LiveHub } from './live-hub.js';

describe('A channel hub without history', () => {
  let store: ModelStore;
  let broker: ModelBroker;
  let hub: LiveHub;
  let metrics: ChannelMetrics;

  beforeEach(() => {
    store = new ModelStore();
    broker = new ModelBroker(store);
    metrics = noMetrics();
    hub = new LiveHub('c', broker, () => undefined, metrics);
  });

  const attach = () => {
    const calls: unknown[] = [];
    const subscriber = {
      open: (cursor: string | undefined) => calls.push(`open ${cursor}`),
      next: ({ event: { id, data } }: ChannelEvent) => calls.push([data, id]),
      complete: () => calls.push('complete'),
    };
    hub.whenLive(() => hub.attach(subscriber));
    return calls;
  };

  it('opens subscribers that attach during an interruption afterwards', () => {
    broker.connect();
    broker.interrupt();
    const calls = attach();
    expect(calls).toEqual([]);
    broker.connect();
    expect(calls).toEqual(['open undefined']);
  });

  it('delivers publishers’ own ids, but no cursors of a node with history', () => {
    broker.connect();
    const calls = attach();
    for (const id of [undefined, 'own']) store.publish(id);
    broker.deliver();
    expect(calls.slice(1)).toEqual([
      ['event 1763884800000-2', ''],
      ['event 1763884800000-3', 'own'],
    ]);
    expect(metrics.delivered).toBe(2);
  });
});
