import { SubCommand } from 'nest-commander';
import { DEFAULT_CHANNEL } from '../../event/event.js';
import { SseService } from '../../sse.service.js';
import { ChannelCommand, type ChannelCommandOptions } from './channel.command.js';
import { type Get, UsageError } from './redis.command.js';
import { print } from './terminal.js';

/** `sse position`: prints the id to resume after for every event that is published from now on. */
@SubCommand({
  name: 'position',
  arguments: '[channels...]',
  argsDescription: { channels: 'the channels of one connection (default: sse)' },
  description: 'Print the position of a channel, or of several as one id',
})
export class PositionCommand extends ChannelCommand<ChannelCommandOptions> {
  protected async execute(get: Get, { channel }: ChannelCommandOptions, channels: string[]): Promise<void> {
    if (channel !== undefined && channels.length > 0) {
      throw new UsageError('Give the channels either as arguments or as --channel');
    }
    const named = channels.length > 0 ? channels : [channel ?? DEFAULT_CHANNEL];
    await print(`${await get(SseService).position(named)}\n`);
  }
}
