import { Injectable, type LoggerService } from '@nestjs/common';
import { ModuleRef, NestFactory } from '@nestjs/core';
import { CommandRunner, Option } from 'nest-commander';
import { SseError, type SseErrorCode } from '../../common/sse.errors.js';
import { SseModule } from '../../sse.module.js';
import { RESOLVED_OPTIONS, type ResolvedOptions } from '../../options/sse.options.js';
import { writeError } from './terminal.js';

const DEFAULT_URL = 'redis://localhost:6379/0';

/** Commander's command, as nest-commander passes it. */
export type Commander = Parameters<CommandRunner['setCommand']>[0];

/** Flags that say where Redis is. */
export interface RedisCommandOptions {
  redisUrl?: string;
  cluster?: boolean;
  sharded?: boolean;
  prefix?: string;
}

/** Finds a provider of the `SseModule` that a command works with. */
export type Get = <T>(token: abstract new (...args: never[]) => T) => T;

/** Wrong usage or input: exit code 2, as for input that the module refuses. */
export class UsageError extends Error {}

/** Writes the module's log to stderr, because stdout is for events and ids; Nest's own lines are left out. */
export const stderrLogger: LoggerService = { log: logLine, warn: logLine, error: logLine, fatal: logLine };

function logLine(message: unknown, ...context: unknown[]): void {
  if (context.at(-1) === 'SseModule') writeError(message);
}

/**
 * A command that works on Redis: on that of its flags, otherwise as the `SseModule` of the application that mounts it is
 * configured, otherwise on that of the environment, otherwise on localhost.
 *
 * It sets the exit code: 0 for success, 1 if the broker refuses or is unreachable, 2 for wrong usage or bad input.
 */
@Injectable()
export abstract class RedisCommand<Options extends RedisCommandOptions> extends CommandRunner {
  constructor(private readonly moduleRef: ModuleRef) {
    super();
  }

  /** Does the work, and throws what goes wrong. */
  protected abstract execute(get: Get, options: Options, args: string[]): Promise<void>;

  async run(args: string[], options: Options): Promise<void> {
    // Each write says by itself whether it failed; unheard, an error of stdout would end the process.
    process.stdout.on('error', () => undefined);
    try {
      await this.#withModule(options, (get) => this.execute(get, options, args));
    } catch (error) {
      writeError(error);
      process.exitCode = isUsage(error) ? 2 : 1;
    }
  }

  override setCommand(command: Commander): this {
    strict(command);
    return super.setCommand(command);
  }

  @Option({
    flags: '--redis-url <url>',
    description: `where Redis is (default: $SSE_REDIS_URL, else ${DEFAULT_URL})`,
  })
  parseRedisUrl(url: string): string {
    return url;
  }

  @Option({ flags: '--cluster', description: 'the URL is of a node of a Redis Cluster' })
  parseCluster(): boolean {
    return true;
  }

  @Option({ flags: '--sharded', description: 'the same, of one with sharded Pub/Sub' })
  parseSharded(): boolean {
    return true;
  }

  @Option({
    flags: '--prefix <prefix>',
    description: 'prefix of keys and channels (default: $SSE_PREFIX, else sse:)',
  })
  parsePrefix(prefix: string): string {
    return prefix;
  }

  async #withModule(
    { redisUrl, cluster, sharded, prefix }: Options,
    work: (get: Get) => Promise<void>,
  ): Promise<void> {
    const own = this.#find<ResolvedOptions>(RESOLVED_OPTIONS);
    // In memory, no other process would get the events.
    const mounted = own?.redis === undefined ? undefined : own;
    const flags = [redisUrl, cluster, sharded, prefix];
    if (mounted && flags.every((flag) => flag === undefined)) {
      return work((token) => this.moduleRef.get(token, { strict: false }));
    }
    const url = redisUrl ?? (process.env.SSE_REDIS_URL || DEFAULT_URL);
    const given = cluster || sharded ? { nodes: [url], shardedSubscribers: sharded } : redisUrl;
    const options = {
      redis: given ?? mounted?.redis ?? url,
      prefix: prefix ?? mounted?.prefix ?? process.env.SSE_PREFIX,
    };
    const context = await NestFactory.createApplicationContext(SseModule.forRoot(options), {
      logger: stderrLogger,
      abortOnError: false,
    });
    try {
      await work((token) => context.get(token));
    } finally {
      await context.close();
    }
  }

  /** What the application has, in whatever module. */
  #find<T>(token: symbol | (abstract new (...args: never[]) => T)): T | undefined {
    try {
      return this.moduleRef.get<T>(token, { strict: false });
    } catch {
      return undefined;
    }
  }
}

/** Refuses arguments that mean nothing, and exits with 2 where commander would with 1. */
export function strict(command: Commander): void {
  command.allowExcessArguments(false).exitOverride(exitFrom);
}

/** Where commander has printed its help, or what is wrong with the usage: nothing was done. */
export function exitFrom(error: Error & { exitCode?: number }): never {
  process.exit(error.exitCode === 0 ? 0 : 2);
}

/** The text as a whole number. */
export function wholeNumber(flag: string, text: string, min = 0): number {
  if (!/^\d+$/.test(text) || Number(text) < min) {
    throw new UsageError(`Expected ${flag} to be a whole number from ${min}, got ${JSON.stringify(text)}`);
  }
  return Number(text);
}

/** The codes of errors that depend on the state of Redis: the same command may succeed later. */
const REFUSED: readonly SseErrorCode[] = ['SSE_UNAVAILABLE', 'SSE_STREAM_LIVE'];

function isUsage(error: unknown): boolean {
  return error instanceof UsageError || (error instanceof SseError && !REFUSED.includes(error.code));
}
