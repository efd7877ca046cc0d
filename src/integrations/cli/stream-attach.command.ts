import { constants } from 'node:os';
import { Option, SubCommand } from 'nest-commander';
import type { SseStreamEnd } from '../../broker/streams.js';
import type { Subscriber } from '../../channel/subscribers.js';
import { checkChannel } from '../../event/event.js';
import type { SseStreamState } from '../../streams/sse-stream-state.js';
import { SseStreams } from '../../streams/sse-streams.service.js';
import { formatOf, type Output, printing } from './printing.js';
import { type Get, RedisCommand, type RedisCommandOptions } from './redis.command.js';

/** Unread bytes of output above which events are read later from the history. */
const MAX_UNREAD = 512 * 1024;

interface Options extends RedisCommandOptions {
  lastEventId?: string;
  json?: boolean;
}

/** `sse stream attach`: prints the events of a stream, up to its end. */
@SubCommand({
  name: 'attach',
  arguments: '<id>',
  argsDescription: { id: 'id of the stream' },
  description: 'Print the events of a stream up to its end',
})
export class StreamAttachCommand extends RedisCommand<Options> {
  @Option({
    flags: '--last-event-id <id>',
    description: 'begin after the event with this id (default: with the first one)',
  })
  parseLastEventId(id: string): string {
    return id;
  }

  @Option({
    flags: '--json',
    description: 'print each event as JSON on a line (default: as text/event-stream)',
  })
  parseJson(): boolean {
    return true;
  }

  protected async execute(get: Get, { lastEventId, json }: Options, [given]: string[]): Promise<void> {
    const id = checkChannel(given, 'id');
    const streams = get(SseStreams);
    // Otherwise a stream that is not kept looks like one without events.
    let { state } = await streams.status(id);
    const missing = new Error(`Nothing is kept of stream ${JSON.stringify(id)}`);
    if (state === 'missing') throw missing;
    const end = await printing((output) => {
      const subscriber = new StreamPrinter(output, json, (status) => (state = status));
      return streams.readers.read(id, subscriber, { lastEventId: lastEventId || undefined }).unsubscribe;
    });
    if (end === 'closed') return;
    if (end !== 'ended') process.exitCode = 128 + constants.signals[end];
    else if (state === 'live') throw missing;
    else if (state !== 'done') process.exitCode = 1;
  }
}

/** Prints events as fast as stdout takes them. Not `SseStreams.events()`: its values are parsed, which rounds large numbers. */
class StreamPrinter implements Subscriber {
  readonly #format: ReturnType<typeof formatOf>;

  constructor(
    private readonly output: Output,
    asJson: boolean | undefined,
    private readonly onEnd: (status: SseStreamState['state']) => void,
  ) {
    this.#format = formatOf(asJson);
  }

  open(): void {
    // The position is of no use without a later connection.
  }

  next(event: Parameters<Subscriber['next']>[0]): void {
    this.output.write(this.#format(event));
    if (event.type === 'sse.end') this.onEnd((JSON.parse(event.json) as SseStreamEnd).status);
  }

  finish(): void {
    this.output.end();
  }

  complete(): void {
    this.output.fail(new Error('The stream was left before its end'));
  }

  get isBehind(): boolean {
    return process.stdout.writableLength > MAX_UNREAD;
  }

  drained(): Promise<void> | undefined {
    if (!this.isBehind) return undefined;
    return new Promise((resolve) => process.stdout.once('drain', resolve));
  }
}
