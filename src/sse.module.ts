import { setImmediate as turn } from 'node:timers/promises';
import {
  type BeforeApplicationShutdown,
  type DynamicModule,
  Inject,
  Injectable,
  Logger,
  Module,
  type ModuleMetadata,
  type OnApplicationShutdown,
  type OnModuleDestroy,
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
import { readOptions, resolveOptions } from './resolve-options.js';
import { SseError } from './sse.errors.js';
import {
  checkAsyncOptions,
  checkGlobal,
  ConfigurableModuleClass,
  SSE_OPTIONS,
} from './sse.module-definition.js';
import type { ASYNC_OPTIONS_TYPE } from './sse.module-definition.js';
import { RESOLVED_OPTIONS, type ResolvedOptions, type SseModuleOptions } from './sse.options.js';
import { SseService } from './sse.service.js';

type NestModule = ModulesContainer extends Map<string, infer M> ? M : never;

/** Its context is not the module's: the command line does not print where events go. */
const logger = new Logger('SseBroker');

/**
 * Stops listening before any other module's hooks run, so that a successor in the same process can listen at once.
 * Nest awaits the hooks of one module after the other, and those of a global one last.
 */
@Injectable()
class Listening implements OnModuleDestroy {
  stopsFirst = false;

  constructor(
    private readonly server: HttpServer,
    modules: ModulesContainer,
  ) {
    // Nest begins with the least: the root module has 1, and what it imports more.
    for (const module of modules.values()) if (module.metatype === ListeningModule) module.distance = 0;
  }

  onModuleDestroy(): void {
    if (this.stopsFirst) this.server.stopListening();
  }
}

@Module({ providers: [HttpServer, Listening], exports: [HttpServer, Listening] })
class ListeningModule {}

/** What the module consists of. `SseTestingModule` replaces some of it. */
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
    EventStreams,
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
 * clients: at once, or, where a signal is the reason, spread over `drainMs`. Outside of production, where nothing drains, the
 * server stops listening first of all; without a signal it does so here. Connections to Redis are closed in `onApplicationShutdown`, as requests
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
    listening: Listening,
    @Inject(RESOLVED_OPTIONS) { drainMs }: ResolvedOptions,
  ) {
    super();
    if (drainMs === 0 && process.env.NODE_ENV !== 'production') listening.stopsFirst = true;
  }

  /**
   * Configures the module: with nothing, events stay in this process; with a Redis URL, or options that have one,
   * they reach every process.
   *
   * @throws SseError `SSE_OPTIONS`, in the call for what are no options at all, and when the application starts for an
   *   option that is not acceptable
   */
  static override forRoot(options: string | (SseModuleOptions & { isGlobal?: boolean }) = {}): DynamicModule {
    const { isGlobal, ...fields } = readOptions(options);
    return super.forRoot({ ...fields, isGlobal: checkGlobal(isGlobal) });
  }

  /**
   * Configures the module with options (or a Redis URL) that other providers give: `useFactory` with `inject`,
   * `useClass` or `useExisting` with an `SseOptionsFactory`.
   *
   * @throws SseError `SSE_OPTIONS`, in the call for an unknown key or none of the three, and when the application starts
   *   for an option that is not acceptable
   */
  static override forRootAsync(options: typeof ASYNC_OPTIONS_TYPE): DynamicModule {
    checkAsyncOptions(options);
    return super.forRootAsync({ ...options, isGlobal: checkGlobal(options.isGlobal) });
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
  const found = [...modules.values()]
    .filter(({ isGlobal }) => isGlobal)
    .flatMap((module) => exportedBy(module));
  if (new Set(found).size < 2) return;
  throw new SseError(
    'SSE_OPTIONS',
    'SseModule is imported more than once: import SseModule.forRoot() in the root module alone, or give each `isGlobal: false`, and export it from no global module',
  );
}

/** Which modules of ours one gives to those that import it: itself, or what it imports and exports again. */
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
