import { type DynamicModule, Module, type Type } from '@nestjs/common';
import { ModulesContainer } from '@nestjs/core';
import { readOptions, resolveOptions } from '../../options/resolve-options.js';
import { SSE_OPTIONS } from '../../options/sse.module-definition.js';
import { checkImports, SSE_MODULE_METADATA, SseModule } from '../../sse.module.js';
import { SseError } from '../../common/sse.errors.js';
import { RESOLVED_OPTIONS, type ResolvedOptions, type SseModuleOptions } from '../../options/sse.options.js';
import { SseService } from '../../sse.service.js';
import { SseTestingService } from './sse-testing.service.js';

const RESOLVED_FROM = [SSE_OPTIONS, ModulesContainer];

/** The options of the module in tests: those of `SseModule`, without Redis. All fields are optional. */
export type SseTestingOptions = Omit<SseModuleOptions, 'redis' | 'requireRedis'>;

/** The part of the `TestingModuleBuilder` of `@nestjs/testing` that `SseTestingModule.override()` needs. */
export interface SseTestingBuilder {
  /** As in `@nestjs/testing`. */
  overrideProvider(token: unknown): {
    /** As in `@nestjs/testing`. */
    useValue(value: unknown): unknown;
    /** As in `@nestjs/testing`. */
    useFactory(options: { factory(...args: never[]): unknown; inject?: unknown[] }): unknown;
    /** As in `@nestjs/testing`. */
    useClass(type: Type): unknown;
  };
}

/**
 * `SseModule` in memory, with an `SseTestingService` as its `SseService`: for tests that import the module under test
 * rather than the whole application. Routes, rules and shutdown work as in production.
 *
 * @example
 * ```ts
 * const module = await Test.createTestingModule({
 *   imports: [SseTestingModule.forRoot()],
 *   controllers: [OrdersController],
 * }).compile();
 * const sse = module.get(SseTestingService);
 * ```
 */
@Module({
  imports: SSE_MODULE_METADATA.imports,
  providers: [
    ...SSE_MODULE_METADATA.providers.filter((provider) => provider !== SseService),
    { provide: RESOLVED_OPTIONS, useFactory: resolveTestingOptions, inject: RESOLVED_FROM },
    SseTestingService,
    { provide: SseService, useExisting: SseTestingService },
  ],
  exports: [...SSE_MODULE_METADATA.exports, SseTestingService],
})
export class SseTestingModule extends SseModule {
  /**
   * Configures the module; events stay in this process.
   *
   * @throws SseError `SSE_OPTIONS` when the application starts, for an option that is not acceptable, `redis` included
   */
  static override forRoot(options: SseTestingOptions & { isGlobal?: boolean } = {}): DynamicModule {
    return super.forRoot(options);
  }

  /**
   * Removes Redis from an application that imports `SseModule` itself, and replaces
   * its `SseService` by an `SseTestingService`: `app.get<SseTestingService>(SseService)`. Call it before `compile()`.
   *
   * @param builder what `Test.createTestingModule({ imports: [AppModule] })` returns
   * @param options in place of the application's own, whose factory is then not called. @default the application's
   *   own without `redis` and `requireRedis`
   * @returns the builder
   * @throws SseError `SSE_OPTIONS` in `compile()`, for an option that is not acceptable
   */
  static override<Builder extends SseTestingBuilder>(builder: Builder, options?: SseTestingOptions): Builder {
    const resolve = options === undefined ? resolveWithoutRedis : resolveTestingOptions;
    if (options !== undefined) builder.overrideProvider(SSE_OPTIONS).useValue(options);
    builder.overrideProvider(RESOLVED_OPTIONS).useFactory({ factory: resolve, inject: RESOLVED_FROM });
    builder.overrideProvider(SseService).useClass(SseTestingService);
    return builder;
  }
}

function resolveTestingOptions(
  options: SseModuleOptions | string,
  modules: ModulesContainer,
): ResolvedOptions {
  checkImports(modules);
  const resolved = resolveOptions(options);
  const { redis, requireRedis } = resolved;
  const name = redis === undefined ? 'requireRedis' : 'redis';
  if (redis !== undefined || requireRedis) {
    const message = `SseTestingModule: expected \`${name}\` to be left out: events stay in memory`;
    throw new SseError('SSE_OPTIONS', message);
  }
  return resolved;
}

function resolveWithoutRedis(options: SseModuleOptions | string, modules: ModulesContainer): ResolvedOptions {
  checkImports(modules);
  const { redis: _, requireRedis: __, ...others } = readOptions(options);
  return resolveOptions(others);
}
