import { CommandRunner } from 'nest-commander';
import { type Commander, strict } from './redis.command.js';

/** A command that only has sub-commands. */
export abstract class CommandGroup extends CommandRunner {
  async run(): Promise<void> {
    this.command.help({ error: true });
  }

  override setCommand(command: Commander): this {
    strict(command);
    return super.setCommand(command);
  }
}
