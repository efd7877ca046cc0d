import { setImmediate as turn } from 'node:timers/promises';
import {
  type BeforeApplicationShutdown,
  type DynamicModule,
  Logger,
  Module,
  type ModuleMetadata,
  type OnApplicationShutdown,
  type Type,
} from '@nestjs/common';
import { ModulesContainer } from '@nestjs/core';
import { Connections } from './access/connections.js';
import { SseBroker } from './broker/broker.js';
import { MemorySseBroker } from './broker/memory.broker.js';
import { RedisSseBroker } from './broker/redis.broker.js';
import { Channels } from './channel/channels.js';
import { Authorization } from './http/authorization.js';
import { Figures } from './figures.js';
import { EventStreams } from './http/event-streams.js';
import { HttpServer } from './http/http-server.js';
import { addressOf } from './redis-source.js';
import { resolveOptions } from './resolve-options.js';
import { SseError } from './sse.errors.js';
import { ConfigurableModuleClass, SSE_OPTIONS } from './sse.module-definition.js';
import type { ASYNC_OPTIONS_TYPE } from './sse.module-definition.js';
import { RESOLVED_OPTIONS, type ResolvedOptions, type SseModuleOptions } from './sse.options.js';
import { SseService } from './sse.service.js';

/** Its context is not the module's: the command line does not print where events go. */
const logger = new Logger('SseBroker');

/** What the module consists of. `SseTestingModule` replaces some of it. */
export const SSE_MODULE_METADATA = {
  providers: [
    {
      provide: RESOLVED_OPTIONS,
      useFactory: (options: SseModuleOptions | string, modules: ModulesContainer) => {
        checkImports(modules);
        return resolveOptions(options);
      },
      inject: [SSE_OPTIONS, ModulesContainer],
    },
    {
      provide: SseBroker,
      useFactory: async ({ redis, prefix, history, requireRedis }: ResolvedOptions) => {
        if (redis === undefined) {
          const level = process.env.NODE_ENV === 'production' ? 'warn' : 'log';
          logger[level]('Events stay in this process: no `redis` is given');
          return new MemorySseBroker(history);
        }
        logger.log(`Events go through Redis: ${addressOf(redis)}, prefix ${prefix || 'none'}`);
        const broker = new RedisSseBroker(redis, prefix, history);
        if (requireRedis) await openOrClose(broker);
        else void broker.inspect();
        return broker;
      },
      inject: [RESOLVED_OPTIONS],
    },
    {
      provide: Channels,
      useFactory: (broker: SseBroker, { history, limits }: ResolvedOptions) =>
        new Channels(broker, history, { max: limits.channels }),
      inject: [SseBroker, RESOLVED_OPTIONS],
    },
    Authorization,
    Connections,
    EventStreams,
    HttpServer,
    SseService,
    Figures,
  ],
  exports: [SseService, EventStreams, Authorization],
} satisfies ModuleMetadata;

/**
 * Server-sent events on named channels. Import it once, in the root module: it is global, unless `isGlobal` is
 * false.
 *
 * At shutdown, streams complete in `beforeApplicationShutdown`, so that `app.close()` does not wait for their
 * clients: at once, or, where a signal is the reason, spread over `drainMs`. Without a signal the server stops to listen
 * first, so that a successor in the same process can. Connections to Redis are closed in `onApplicationShutdown`, as requests
 * are still served in between; what is just being published has 2 s to be confirmed.
 */
@Module(SSE_MODULE_METADATA)
export class SseModule
  extends ConfigurableModuleClass
  implements BeforeApplicationShutdown, OnApplicationShutdown
{
  // oxlint-disable-next-line max-params -- Nest injects them
  constructor(
    private readonly broker: SseBroker,
    private readonly connections: Connections,
    private readonly streams: EventStreams,
    private readonly figures: Figures,
    private readonly server: HttpServer,
  ) {
    super();
  }

  /**
   * Configures the module: with nothing, events stay in this process; with a Redis URL, or options that have one,
   * they reach every process.
   *
   * @throws SseError `SSE_OPTIONS` when the application starts, for an option that is not acceptable
   */
  static override forRoot(options: string | (SseModuleOptions & { isGlobal?: boolean }) = {}): DynamicModule {
    return super.forRoot(typeof options === 'string' ? { redis: options } : options);
  }

  /**
   * Configures the module with options (or a Redis URL) that other providers give: `useFactory` with `inject`,
   * `useClass` or `useExisting` with an `SseOptionsFactory`.
   */
  static override forRootAsync(options: typeof ASYNC_OPTIONS_TYPE): DynamicModule {
    return super.forRootAsync(options);
  }

  async beforeApplicationShutdown(signal?: string): Promise<void> {
    const hasOpen = this.connections.size > 0;
    if (signal === undefined) this.server.stopListening();
    else await this.connections.drain();
    this.connections.close();
    if (hasOpen) {
      await this.streams.ended();
      // Nest's own streams end, and the server takes their sockets for idle, within a turn of the event loop.
      await turn();
    }
    this.server.closeSessions();
  }

  async onApplicationShutdown(): Promise<void> {
    await this.broker.close();
    this.figures.stop();
  }
}

/**
 * Two global modules would each serve some of the application, without a word.
 *
 * @throws SseError `SSE_OPTIONS`
 */
export function checkImports(modules: ModulesContainer): void {
  const isGlobal = ({ metatype, isGlobal: global }: { metatype: Type; isGlobal: boolean }) =>
    global && (metatype === SseModule || metatype.prototype instanceof SseModule);
  if ([...modules.values()].filter(isGlobal).length < 2) return;
  throw new SseError(
    'SSE_OPTIONS',
    'SseModule is imported more than once: import SseModule.forRoot() in the root module alone, or give each `isGlobal: false`',
  );
}

async function openOrClose(broker: RedisSseBroker): Promise<void> {
  try {
    await broker.opened();
  } catch (error) {
    await broker.close();
    throw error;
  }
}
