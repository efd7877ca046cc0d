import { Option, SubCommand } from 'nest-commander';
import { SseStreams } from '../../streams/sse-streams.service.js';
import { type Get, RedisCommand, type RedisCommandOptions } from './redis.command.js';
import { print } from './terminal.js';

interface Options extends RedisCommandOptions {
  reason?: string;
}

/** `sse stream stop`: stops a stream, wherever its producer is, and prints the outcome. */
@SubCommand({
  name: 'stop',
  arguments: '<id>',
  argsDescription: { id: 'id of the stream' },
  description: 'Stop a stream and print the outcome: stopped, requested, ended or missing',
})
export class StreamStopCommand extends RedisCommand<Options> {
  @Option({ flags: '--reason <text>', description: 'reason that readers see (default: user)' })
  parseReason(reason: string): string {
    return reason;
  }

  protected async execute(get: Get, { reason }: Options, [id]: string[]): Promise<void> {
    const outcome = await get(SseStreams).abort(id!, reason);
    await print(`${outcome}\n`);
    if (outcome === 'requested' || outcome === 'missing') process.exitCode = 1;
  }
}
