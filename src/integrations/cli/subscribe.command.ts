import { setTimeout as sleep } from 'node:timers/promises';
import { Option, SubCommand } from 'nest-commander';
import type { ChannelEvent } from '../../channel/channel-event.js';
import { checkFrom } from '../../channel/start.js';
import { Channels } from '../../channel/channels.js';
import type { Subscriber } from '../../channel/subscribers.js';
import { checkChannel, DEFAULT_CHANNEL } from '../../event/event.js';
import { encodeEvent } from '../../http/frame.js';
import { compact } from '../../event/json.js';
import { SseError } from '../../common/sse.errors.js';
import { SseService } from '../../sse.service.js';
import {
  type Get,
  RedisCommand,
  type RedisCommandOptions,
  UsageError,
  wholeNumber,
} from './redis.command.js';
import { print, writeError } from './terminal.js';

/** How long the first connection may take, in ms: a wrong address must fail. */
const CONNECT_MS = 4_000;
/** How long the program may take to exit after an interrupt, in ms. */
const EXIT_MS = 2_000;
/** Unread bytes of output: a pager may pause, but not for ever. */
const MAX_UNREAD = 64 * 1024 * 1024;

interface Options extends RedisCommandOptions {
  lastEventId?: string;
  from?: string;
  json?: boolean;
  count?: string;
}

/** `sse subscribe`: prints the events of a channel as they arrive, until it is interrupted. */
@SubCommand({ name: 'subscribe', description: 'Print the events of a channel as they arrive' })
export class SubscribeCommand extends RedisCommand<Options> {
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
    const format = json ? jsonLine : ({ event, json: data }: ChannelEvent) => encodeEvent(event, data);
    const newest = newestOf(options.from);
    if (options.from !== undefined && lastEventId)
      throw new UsageError('Give either --last-event-id or --from');
    let stop = () => {};
    await new Promise<void>((resolve, reject) => {
      const write = (text: string) => {
        // A reader such as `head` may close the pipe. Anything else is an error.
        print(text).catch((error: Error) =>
          (error.cause as NodeJS.ErrnoException).code === 'EPIPE' ? resolve() : reject(error),
        );
        if (process.stdout.writableLength > MAX_UNREAD) reject(new Error('Nobody reads what is printed'));
      };
      const subscriber: Subscriber = {
        open: (_, __, isTruncated) => {
          if (isTruncated)
            writeError('More is stored than the limits of one replay allow: the newest follow');
        },
        next: (event) => {
          if (left <= 0) return;
          write(format(event));
          if (event.type !== 'sse.reset' && --left === 0) resolve();
        },
        complete: resolve,
      };
      const interrupt = () => {
        resolve();
        // Unread output must not keep the program alive.
        setTimeout(() => process.exit(), EXIT_MS).unref();
      };
      // Not `messages()`: its values are parsed, which rounds large numbers.
      const { unsubscribe } = get(Channels).subscribe([channel], subscriber, {
        lastEventId: lastEventId || undefined,
        newest,
      });
      process.once('SIGINT', interrupt).once('SIGTERM', interrupt);
      stop = () => {
        unsubscribe();
        process.off('SIGINT', interrupt).off('SIGTERM', interrupt);
      };
      connected(get(SseService)).catch(reject);
    }).finally(() => stop());
  }
}

/** How many of the newest events `--from` asks for. */
function newestOf(from: string | undefined): number {
  if (from === undefined || from === 'earliest') return checkFrom(from);
  if (/^\d+$/.test(from)) return checkFrom({ last: Number(from) });
  throw new UsageError(`Expected --from to be earliest or a whole number, got ${JSON.stringify(from)}`);
}

/** An event as `JSON.stringify()` writes it, with the data as it was published. */
function jsonLine({ id, channel, json, type, retry }: ChannelEvent): string {
  const before = JSON.stringify({ id, channel }).slice(0, -1);
  const after = JSON.stringify({ type, retry }).slice(1);
  return `${before},"data":${compact(json)}${after === '}' ? after : `,${after}`}\n`;
}

async function connected(sse: SseService): Promise<void> {
  for (let waited = 0; !sse.stats().connected; waited += 50) {
    if (waited >= CONNECT_MS) throw new SseError('SSE_UNAVAILABLE', 'Redis is unreachable');
    await sleep(50, undefined, { ref: false });
  }
}
