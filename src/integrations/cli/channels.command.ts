import { CommandRunner, Option, SubCommand } from 'nest-commander';
import {
  type AnyDefinition,
  definedChannels,
  type EventSchemas,
} from '../../typed-channels/define-channel.js';
import { type Commander, strict } from './redis.command.js';
import { print, writeError } from './terminal.js';

interface Options {
  json?: boolean;
}

/** `sse channels`: prints the channels that the application defines by `defineChannel()`. It needs no Redis. */
@SubCommand({
  name: 'channels',
  description: 'List the typed channels of the application that mounts this command',
})
export class ChannelsCommand extends CommandRunner {
  @Option({ flags: '--json', description: 'print each definition as JSON on a line' })
  parseJson(): boolean {
    return true;
  }

  async run(_: string[], { json }: Options): Promise<void> {
    // Each write reports its own failure. Without a listener, an error of stdout would end the process.
    process.stdout.on('error', () => undefined);
    try {
      const definitions = definedChannels().map(describe).toSorted(byPattern);
      if (definitions.length === 0) throw new Error(NONE);
      const lines = definitions.map((one) => (json ? JSON.stringify(one) : lineOf(one)));
      await print(lines.map((line) => `${line}\n`).join(''));
    } catch (error) {
      writeError(error);
      process.exitCode = 1;
    }
  }

  override setCommand(command: Commander): this {
    strict(command);
    return super.setCommand(command);
  }
}

const NONE =
  'No typed channels: they are defined by defineChannel() in the modules of an application, and listed by its own command line with SseCliModule';

function describe({ pattern, parameters, events }: AnyDefinition) {
  const schemas = Object.entries(events as EventSchemas);
  return {
    pattern: pattern as string,
    parameters,
    events: schemas.map(([type, schema]) => ({
      type: type || 'message',
      vendor: schema['~standard'].vendor,
    })),
  };
}

type Description = ReturnType<typeof describe>;

/** The same order in each locale. */
const byPattern = (a: Description, b: Description) => (a.pattern < b.pattern ? -1 : 1);

const lineOf = ({ pattern, events }: Description) =>
  `${pattern}\t${events.map(({ type }) => type).join(', ')}`;
