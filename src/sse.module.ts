import { setImmediate as turn } from 'node:timers/promises';
import {
  type BeforeApplicationShutdown,
  type DynamicModule,
  Inject,
  Injectable,
  Logger,
  Module,
  type ModuleMetadata,
  type OnApplicationBootstrap,
  type OnApplicationShutdown,
  type OnModuleDestroy,
} from '@nestjs/common';
import { ModulesContainer } from '@nestjs/core';
import { Connections } from './connections/connections.js';
import { SseBroker } from './broker/broker.js';
import { MemorySseBroker } from './broker/memory/memory.broker.js';
import { RedisSseBroker } from './broker/redis/redis.broker.js';
import { Channels } from './channel/channels.js';
import { Authorization } from './routes/authorization.js';
import { SseTickets } from './routes/sse-tickets.service.js';
import { SseResponses } from './http/sse-responses.js';
import { HttpServer } from './http/http-server.js';
import { addressOf } from './options/redis-source.js';
import { readOptions, resolveOptions } from './options/resolve-options.js';
import { SseError } from './common/sse.errors.js';
import {
  checkAsyncOptions,
  checkGlobal,
  ConfigurableModuleClass,
  SSE_OPTIONS,
} from './options/sse.module-definition.js';
import type { ASYNC_OPTIONS_TYPE } from './options/sse.module-definition.js';
import { RESOLVED_OPTIONS, type ResolvedOptions, type SseModuleOptions } from './options/sse.options.js';
import { Publications } from './publications.js';
import { SseService } from './sse.service.js';
import { SseStreams } from './streams/sse-streams.service.js';

type NestModule = ModulesContainer extends Map<string, infer M> ? M : never;

/** Its own context, so that the command line can leave its lines out. */
const logger = new Logger('SseBroker');

/**
 * Stops listening before the hooks of all other modules, so that a restarted application can listen on the port at once.
 * Nest awaits the hooks of one module after the other, those of global modules last.
 */
@Injectable()
class Listening implements OnModuleDestroy {
  stopsFirst = false;

  constructor(
    private readonly server: HttpServer,
    modules: ModulesContainer,
  ) {
    // Nest begins with the lowest distance. The root module has 1, imported modules have more.
    for (const module of modules.values()) if (module.metatype === ListeningModule) module.distance = 0;
  }

  onModuleDestroy(): void {
    if (this.stopsFirst) this.server.stopListening();
  }
}

@Module({ providers: [HttpServer, Listening], exports: [HttpServer, Listening] })
class ListeningModule {}

/** Shared with `SseTestingModule`, which replaces some providers. */
export const SSE_MODULE_METADATA = {
  imports: [ListeningModule],
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
    SseResponses,
    SseStreams,
    Publications,
    SseService,
    SseTickets,
  ],
  exports: [SseService, SseStreams, SseTickets, SseResponses, Authorization],
} satisfies ModuleMetadata;

/**
 * Server-sent events on named channels. Import it once, in the root module: it is global unless `isGlobal` is
 * false.
 *
 * At shutdown, connections close in `beforeApplicationShutdown`, so that `app.close()` does not wait for their
 * clients: at once, or, on a signal, gradually over `drainMs`. Outside of production, with `drainMs` 0, the
 * server stops listening before that; without a signal it does so here. Connections to Redis close in `onApplicationShutdown`, because requests
 * are still served until then. Pending publications have 2 s to be confirmed.
 */
@Module(SSE_MODULE_METADATA)
export class SseModule
  extends ConfigurableModuleClass
  implements OnApplicationBootstrap, BeforeApplicationShutdown, OnApplicationShutdown
{
  #stopMetrics: (() => void) | undefined;

  /** @internal */
  // oxlint-disable-next-line max-params -- Nest injects them
  constructor(
    private readonly broker: SseBroker,
    private readonly connections: Connections,
    private readonly sse: SseService,
    private readonly streams: SseStreams,
    private readonly publications: Publications,
    private readonly server: HttpServer,
    listening: Listening,
    @Inject(RESOLVED_OPTIONS) private readonly options: ResolvedOptions,
  ) {
    super();
    if (options.drainMs === 0 && process.env.NODE_ENV !== 'production') listening.stopsFirst = true;
  }

  /**
   * Configures the module: without arguments, events stay in this process; with a Redis URL, or options with one,
   * they reach every process.
   *
   * @throws SseError `SSE_OPTIONS`, in the call for anything but options, and when the application starts for an
   *   option that is not acceptable
   */
  static override forRoot(options: string | (SseModuleOptions & { isGlobal?: boolean }) = {}): DynamicModule {
    const { isGlobal, ...fields } = readOptions(options);
    return super.forRoot({ ...fields, isGlobal: checkGlobal(isGlobal) });
  }

  /**
   * Configures the module with options (or a Redis URL) from other providers: `useFactory` with `inject`,
   * `useClass` or `useExisting` with an `SseOptionsFactory`.
   *
   * @throws SseError `SSE_OPTIONS`, in the call for an unknown key or none of the three, and when the application starts
   *   for an option that is not acceptable
   */
  static override forRootAsync(options: typeof ASYNC_OPTIONS_TYPE): DynamicModule {
    checkAsyncOptions(options);
    return super.forRootAsync({ ...options, isGlobal: checkGlobal(options.isGlobal) });
  }

  /** @internal */
  async onApplicationBootstrap(): Promise<void> {
    try {
      this.#stopMetrics = this.options.metrics.start(() => this.sse.stats());
    } catch (error) {
      // The application does not start, so Nest will not close the broker.
      await this.broker.close();
      throw error;
    }
  }

  /** @internal */
  async beforeApplicationShutdown(signal?: string): Promise<void> {
    const hasOpen = this.connections.size > 0;
    // Producers end while requests are still served.
    const ended = this.streams.drain(signal === undefined ? 0 : this.options.drainMs);
    if (signal === undefined) this.server.stopListening();
    else await this.connections.drain();
    await ended;
    this.connections.close();
    if (hasOpen) {
      await this.connections.ended();
      // Nest's own responses end, and their sockets become idle, within a turn of the event loop.
      await turn();
    }
    this.server.closeSessions();
  }

  /** @internal */
  async onApplicationShutdown(): Promise<void> {
    await this.publications.settled();
    await this.broker.close();
    this.#stopMetrics?.();
  }
}

/**
 * Two global modules would each serve a part of the application.
 *
 * @throws SseError `SSE_OPTIONS`
 */
export function checkImports(modules: ModulesContainer): void {
  const found = [...modules.values()]
    .filter(({ isGlobal }) => isGlobal)
    .flatMap((module) => exportedBy(module));
  if (new Set(found).size < 2) return;
  throw new SseError(
    'SSE_OPTIONS',
    'SseModule is imported more than once: import SseModule.forRoot() in the root module alone, or give each `isGlobal: false`, and export it from no global module',
  );
}

/** The SseModules that a module exports: itself, or imported ones that it exports again. */
function exportedBy(module: NestModule, seen = new Set<NestModule>()): NestModule[] {
  if (module.metatype === SseModule || module.metatype.prototype instanceof SseModule) return [module];
  if (seen.has(module)) return [];
  seen.add(module);
  return [...module.imports]
    .filter(({ metatype }) => module.exports.has(metatype))
    .flatMap((imported) => exportedBy(imported, seen));
}

async function openOrClose(broker: RedisSseBroker): Promise<void> {
  try {
    await broker.opened();
  } catch (error) {
    await broker.close();
    throw error;
  }
}
