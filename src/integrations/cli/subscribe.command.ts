import { setTimeout as sleep } from 'node:timers/promises';
import { Option, SubCommand } from 'nest-commander';
import { checkFrom } from '../../channel/start.js';
import { Channels } from '../../channel/channels.js';
import type { Subscriber } from '../../channel/subscribers.js';
import { checkChannel, DEFAULT_CHANNEL } from '../../event/event.js';
import { SseError } from '../../common/sse.errors.js';
import { SseService } from '../../sse.service.js';
import { ChannelCommand, type ChannelCommandOptions } from './channel.command.js';
import { formatOf, printing } from './printing.js';
import { type Get, UsageError, wholeNumber } from './redis.command.js';
import { writeError } from './terminal.js';

/** How long the first connection may take, in ms: a wrong address must fail. */
const CONNECT_MS = 4_000;
/** Unread bytes of output: a pager may pause, but not for ever. */
const MAX_UNREAD = 64 * 1024 * 1024;

interface Options extends ChannelCommandOptions {
  lastEventId?: string;
  from?: string;
  json?: boolean;
  count?: string;
}

/** `sse subscribe`: prints the events of a channel as they arrive, until it is interrupted. */
@SubCommand({ name: 'subscribe', description: 'Print the events of a channel as they arrive' })
export class SubscribeCommand extends ChannelCommand<Options> {
  @Option({
    flags: '--last-event-id <id>',
    description: 'begin after the event with this id (default: with the next one)',
  })
  parseLastEventId(id: string): string {
    return id;
  }

  @Option({
    flags: '--from <start>',
    description: 'begin with the oldest stored event (earliest), or with the last <number> stored ones',
  })
  parseFrom(from: string): string {
    return from;
  }

  @Option({
    flags: '--json',
    description: 'print each event as JSON on a line (default: as text/event-stream)',
  })
  parseJson(): boolean {
    return true;
  }

  @Option({
    flags: '-n, --count <number>',
    description: 'end after this many events, not counting sse.reset',
  })
  parseCount(count: string): string {
    return count;
  }

  protected async execute(get: Get, options: Options): Promise<void> {
    const { lastEventId, json } = options;
    const channel = checkChannel(options.channel ?? DEFAULT_CHANNEL);
    let left = options.count === undefined ? Infinity : wholeNumber('--count', options.count, 1);
    const format = formatOf(json);
    const newest = newestOf(options.from);
    if (options.from !== undefined && lastEventId)
      throw new UsageError('Give either --last-event-id or --from');
    await printing(({ write, end, fail }) => {
      const subscriber: Subscriber = {
        open: (_, __, isTruncated) => {
          if (isTruncated)
            writeError('More is stored than the limits of one replay allow: the newest follow');
        },
        next: (event) => {
          if (left <= 0) return;
          write(format(event));
          if (process.stdout.writableLength > MAX_UNREAD) fail(new Error('Nobody reads what is printed'));
          if (event.type !== 'sse.reset' && --left === 0) end();
        },
        complete: end,
      };
      // Not `messages()`: its values are parsed, which rounds large numbers.
      const subscription = get(Channels).subscribe([channel], subscriber, {
        lastEventId: lastEventId || undefined,
        newest,
      });
      connected(get(SseService)).catch(fail);
      return () => subscription.unsubscribe();
    });
  }
}

/** How many of the newest events `--from` asks for. */
function newestOf(from: string | undefined): number {
  if (from === undefined || from === 'earliest') return checkFrom(from);
  if (/^\d+$/.test(from)) return checkFrom({ last: Number(from) });
  throw new UsageError(`Expected --from to be earliest or a whole number, got ${JSON.stringify(from)}`);
}

async function connected(sse: SseService): Promise<void> {
  for (let waited = 0; !sse.stats().connected; waited += 50) {
    if (waited >= CONNECT_MS) throw new SseError('SSE_UNAVAILABLE', 'Redis is unreachable');
    await sleep(50, undefined, { ref: false });
  }
}
