import { afterEach, beforeEach, jest } from '@jest/globals';
import { Channels } from '../../src/channel/channels.js';
import { checkPublication, type PublishOptions } from '../../src/event/event.js';
import type { History } from '../../src/options/sse.options.js';
import { SlowBroker } from './slow-broker.js';

/** Channels on a broker whose reads the test delays, new ones for each test of a block. */
export function useChannels() {
  let broker: SlowBroker;
  let channels: Channels;

  beforeEach(() => {
    broker = new SlowBroker();
    channels = new Channels(broker);
  });
  afterEach(() => {
    channels.close();
    jest.restoreAllMocks();
  });

  return {
    get broker() {
      return broker;
    },
    get channels() {
      return channels;
    },
    publish: (channel: string, data: unknown, options: PublishOptions = {}) =>
      broker.publish(channel, checkPublication(data, options, 1_000)),
    /** Replaces the channels by new ones on the same broker, as those of another process. */
    restart(history?: History) {
      channels.close();
      channels = new Channels(broker, history);
    },
  };
}
