import { Module } from '@nestjs/common';
import { Command } from 'nest-commander';
import { CommandGroup } from './command-group.js';
import { PositionCommand } from './position.command.js';
import { PublishCommand } from './publish.command.js';
import { StreamAttachCommand } from './stream-attach.command.js';
import { StreamRunCommand } from './stream-run.command.js';
import { StreamStopCommand } from './stream-stop.command.js';
import { StreamCommand } from './stream.command.js';
import { SubscribeCommand } from './subscribe.command.js';

/** `sse`: the commands that publish, subscribe, print positions, and work on streams. */
@Command({
  name: 'sse',
  description: 'Publish and subscribe to server-sent events',
  subCommands: [PublishCommand, SubscribeCommand, PositionCommand, StreamCommand],
})
export class SseCommand extends CommandGroup {}

/**
 * Mounts `sse publish`, `sse subscribe`, `sse position` and `sse stream` in an application's own nest-commander CLI. Where the
 * application imports `SseModule`, they work through its providers.
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
  ],
})
export class SseCliModule {}
