import { Module } from '@nestjs/common';
import { Command } from 'nest-commander';
import { ChannelsCommand } from './channels.command.js';
import { CommandGroup } from './command-group.js';
import { PositionCommand } from './position.command.js';
import { PublishCommand } from './publish.command.js';
import { StreamAttachCommand } from './stream-attach.command.js';
import { StreamRunCommand } from './stream-run.command.js';
import { StreamStopCommand } from './stream-stop.command.js';
import { StreamCommand } from './stream.command.js';
import { SubscribeCommand } from './subscribe.command.js';

/** `sse`: the commands that publish, subscribe, print positions, work on streams, and list typed channels. */
@Command({
  name: 'sse',
  description: 'Publish and subscribe to server-sent events',
  subCommands: [PublishCommand, SubscribeCommand, PositionCommand, StreamCommand, ChannelsCommand],
})
export class SseCommand extends CommandGroup {}

/**
 * Mounts `sse publish`, `sse subscribe`, `sse position`, `sse stream` and `sse channels` in an application's own nest-commander CLI. Where
 * the application imports `SseModule`, they work through its providers.
 */
@Module({
  providers: [
    SseCommand,
    PublishCommand,
    SubscribeCommand,
    PositionCommand,
    StreamCommand,
    StreamRunCommand,
    StreamAttachCommand,
    StreamStopCommand,
    ChannelsCommand,
  ],
})
export class SseCliModule {}
