import { Module } from '@nestjs/common';
import { Command, CommandRunner } from 'nest-commander';
import { PositionCommand } from './position.command.js';
import { PublishCommand } from './publish.command.js';
import { type Commander, strict } from './redis.command.js';
import { SubscribeCommand } from './subscribe.command.js';

/** `sse`: the commands that publish, subscribe, and print positions. */
@Command({
  name: 'sse',
  description: 'Publish and subscribe to server-sent events',
  subCommands: [PublishCommand, SubscribeCommand, PositionCommand],
})
export class SseCommand extends CommandRunner {
  async run(): Promise<void> {
    this.command.help({ error: true });
  }

  override setCommand(command: Commander): this {
    strict(command);
    return super.setCommand(command);
  }
}

/**
 * Mounts `sse publish`, `sse subscribe` and `sse position` in an application's own nest-commander CLI. Where the application
 * imports `SseModule`, they work through its `SseService`.
 */
@Module({ providers: [SseCommand, PublishCommand, SubscribeCommand, PositionCommand] })
export class SseCliModule {}
