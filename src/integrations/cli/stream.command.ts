import { SubCommand } from 'nest-commander';
import { CommandGroup } from './command-group.js';
import { StreamAttachCommand } from './stream-attach.command.js';
import { StreamRunCommand } from './stream-run.command.js';
import { StreamStopCommand } from './stream-stop.command.js';

/** `sse stream`: the commands that produce, print and stop streams. */
@SubCommand({
  name: 'stream',
  description: 'Produce, print and stop streams',
  subCommands: [StreamRunCommand, StreamAttachCommand, StreamStopCommand],
})
export class StreamCommand extends CommandGroup {}
