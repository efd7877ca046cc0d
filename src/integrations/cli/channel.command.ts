import { Option } from 'nest-commander';
import { RedisCommand, type RedisCommandOptions } from './redis.command.js';

/** Flags that name the channel and the Redis. */
export interface ChannelCommandOptions extends RedisCommandOptions {
  channel?: string;
}

/** A command that works on a channel. */
export abstract class ChannelCommand<Options extends ChannelCommandOptions> extends RedisCommand<Options> {
  @Option({ flags: '-c, --channel <name>', description: 'channel (default: sse)' })
  parseChannel(channel: string): string {
    return channel;
  }
}
