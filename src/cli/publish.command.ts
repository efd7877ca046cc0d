import { Option, SubCommand } from 'nest-commander';
import type { PublishOptions } from '../event.js';
import type { SseService } from '../sse.service.js';
import { parseJson, readLines, readText } from './input.js';
import { RedisCommand, type RedisCommandOptions, UsageError, wholeNumber } from './redis.command.js';

/** Publications on their way to Redis at once: enough to keep it busy, few enough to hold in memory. */
const MAX_IN_FLIGHT = 256;

interface Options extends RedisCommandOptions {
  type?: string;
  id?: string;
  retry?: string;
  text?: boolean;
  ndjson?: boolean;
}

/** `sse publish`: publishes what a file or stdin holds, and prints the id of each event on a line of stdout. */
@SubCommand({
  name: 'publish',
  arguments: '[file]',
  argsDescription: { file: 'what to publish, one JSON document (default: stdin)' },
  description: 'Publish an event and print its id',
})
export class PublishCommand extends RedisCommand<Options> {
  @Option({
    flags: '-t, --type <type>',
    description: 'type of the event, for addEventListener (default: none, for onmessage)',
  })
  parseType(type: string): string {
    return type;
  }

  @Option({ flags: '--id <id>', description: 'id of the event (default: given by the broker)' })
  parseId(id: string): string {
    return id;
  }

  @Option({ flags: '--retry <ms>', description: 'how long clients wait before they reconnect from now on' })
  parseRetry(retry: string): string {
    return retry;
  }

  @Option({ flags: '--text', description: 'publish the input as a string, as it is' })
  parseText(): boolean {
    return true;
  }

  @Option({ flags: '--ndjson', description: 'publish each line of the input as an event of its own' })
  parseNdjson(): boolean {
    return true;
  }

  protected async execute(sse: SseService, options: Options, [file]: string[]): Promise<void> {
    const { channel, type, id, text, ndjson } = options;
    if (text && ndjson) throw new UsageError('Expected one of --text and --ndjson, got both');
    if (ndjson && id !== undefined)
      throw new UsageError('Expected no --id with --ndjson: ids are to be unique');
    const retry = options.retry === undefined ? undefined : wholeNumber('--retry', options.retry);
    const publishOptions: PublishOptions = { channel, type, id, retry };
    if (ndjson) return publishLines(sse, publishOptions, file);
    const input = await readText(file);
    const data = text ? input : parseJson(input, 'the input');
    print(await sse.publish(data, publishOptions));
  }
}

/** In order, and in flat memory: as fast as Redis takes them. Stops at the first line that fails. */
async function publishLines(
  sse: SseService,
  options: PublishOptions,
  file: string | undefined,
): Promise<void> {
  const inFlight: { number: number; id: Promise<string> }[] = [];
  let published = 0;
  const settleOne = async () => {
    const { number, id } = inFlight.shift()!;
    try {
      print(await id);
      published++;
    } catch (error) {
      throw Object.assign(error as Error, { message: `Line ${number}: ${(error as Error).message}` });
    }
  };
  try {
    for await (const [line, number] of readLines(file)) {
      const data = parseJson(line, `line ${number}`);
      const id = sse.publish(data, options);
      // It is awaited in its turn; until then its failure is no unhandled rejection.
      id.catch(() => undefined);
      inFlight.push({ number, id });
      if (inFlight.length >= MAX_IN_FLIGHT) await settleOne();
    }
    while (inFlight.length > 0) await settleOne();
  } catch (error) {
    const later = await Promise.allSettled(inFlight.map(({ id }) => id));
    for (const result of later) {
      if (result.status !== 'fulfilled') continue;
      print(result.value);
      published++;
    }
    throw Object.assign(error as Error, {
      message: `${(error as Error).message}\nEvents published before that: ${published}`,
    });
  }
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
