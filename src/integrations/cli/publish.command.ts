import { Option, SubCommand } from 'nest-commander';
import { channelOf, checkPublication, DEFAULT_CHANNEL, type PublishOptions } from '../../event/event.js';
import type { SseError } from '../../common/sse.errors.js';
import { SseService } from '../../sse.service.js';
import { ChannelCommand, type ChannelCommandOptions } from './channel.command.js';
import { jsonOf, readLines, readText } from './input.js';
import { type Get, UsageError, wholeNumber } from './redis.command.js';
import { print } from './terminal.js';

/** Publications in flight: enough to keep Redis busy, few enough to hold in memory. */
const MAX_IN_FLIGHT = 256;

interface Options extends ChannelCommandOptions {
  type?: string;
  id?: string;
  retry?: string;
  text?: boolean;
  ndjson?: boolean;
}

/** `sse publish`: publishes the content of a file or stdin, and prints the id of each event on a line of stdout. */
@SubCommand({
  name: 'publish',
  arguments: '[file]',
  argsDescription: { file: 'what to publish, one JSON document (default, and -: stdin)' },
  description: 'Publish an event and print its id',
})
export class PublishCommand extends ChannelCommand<Options> {
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

  protected async execute(get: Get, options: Options, [file]: string[]): Promise<void> {
    const sse = get(SseService);
    const { channel, type, id, text, ndjson } = options;
    if (text && ndjson) throw new UsageError('Expected one of --text and --ndjson, got both');
    if (ndjson && id !== undefined)
      throw new UsageError('Expected no --id with --ndjson: ids are to be unique');
    const retry = options.retry === undefined ? undefined : wholeNumber('--retry', options.retry);
    const publishOptions: PublishOptions = { channel: channel ?? DEFAULT_CHANNEL, type, id, retry };
    // Before the input is read: wrong flags are errors for any input.
    channelOf(publishOptions);
    checkPublication('', publishOptions, 0);
    if (ndjson) return publishLines(sse, publishOptions, file);
    const input = await readText(file);
    const data = text ? input : jsonOf(input, 'the input');
    const published = await sse.publish(data, publishOptions).catch((error: SseError) => {
      throw error.mayBePublished ? withMessage(error, `${error.message}; it may have been published`) : error;
    });
    await print(`${published}\n`);
  }
}

/** Publishes lines in order and in constant memory, as fast as Redis and stdout accept them. Stops when a line has failed. */
async function publishLines(sse: SseService, options: PublishOptions, file?: string): Promise<void> {
  const inFlight: { number: number; id: Promise<string>; printed: Promise<void> }[] = [];
  // A failure must end the program also while the producer is silent.
  const reading = new AbortController();
  const stop = () => reading.abort();
  let printed = Promise.resolve();
  let before = 0;
  const printOldest = async () => {
    const { number, id } = inFlight[0]!;
    const text = await id.catch((error: Error) => {
      throw withMessage(error, `Line ${number}: ${error.message}`);
    });
    inFlight.shift();
    before++;
    await print(`${text}\n`);
  };
  try {
    for await (const [line, number] of readLines(file, reading.signal)) {
      if (reading.signal.aborted) break;
      const id = sse.publish(jsonOf(line, `line ${number}`), options);
      id.catch(stop);
      printed = printed.then(printOldest);
      printed.catch(stop);
      inFlight.push({ number, id, printed });
      if (inFlight.length >= MAX_IN_FLIGHT) await inFlight[0]!.printed;
    }
    await printed;
  } catch (error) {
    // The failure of an earlier line has ended the reading, or has to be reported first.
    const earlier = await printed.then(
      () => undefined,
      (first: Error) => first,
    );
    const told = earlier ?? (error as Error);
    throw withMessage(told, `${told.message}\n${await account(before, inFlight)}`);
  }
}

/** The report after a failure: which line, and how many were published. */
async function account(before: number, inFlight: { id: Promise<string> }[]): Promise<string> {
  let after = 0;
  let unknown = 0;
  let failed = false;
  for (const result of await Promise.allSettled(inFlight.map(({ id }) => id))) {
    if (result.status === 'rejected') {
      failed = true;
      if ((result.reason as SseError).mayBePublished) unknown++;
      continue;
    }
    if (failed) after++;
    else before++;
    await print(`${result.value}\n`).catch(() => undefined);
  }
  const later = after > 0 ? `, and ${after} behind it that were on their way` : '';
  const perhaps = unknown > 0 ? `; ${unknown} more may have been published` : '';
  return `Events published before that: ${before}${later}${perhaps}`;
}

function withMessage(error: Error, message: string): Error {
  return Object.assign(error, { message });
}
