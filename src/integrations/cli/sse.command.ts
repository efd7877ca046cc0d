import { Module } from '@nestjs/common';
import { Command, CommandRunner } from 'nest-commander';
import { PublishCommand } from './publish.command.js';
import { type Commander, strict } from './redis.command.js';
import { SubscribeCommand } from './subscribe.command.js';

/** `sse`: the commands that publish and subscribe. */
@Command({
  name: 'sse',
  description: 'Publish and subscribe to server-sent events',
  subCommands: [PublishCommand, SubscribeCommand],
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
 * Mounts `sse publish` and `sse subscribe` in an application's own nest-commander CLI. Where the application
 * imports `SseModule`, they work through its `SseService`.
 */
@Module({ providers: [SseCommand, PublishCommand, SubscribeCommand] })
export class SseCliModule {}
