import type { AbstractHttpAdapter } from '@nestjs/core';
import type { IsIdle } from './writer.js';

/** What Fastify listens to a response with where the route has `onResponse` hooks. */
const FASTIFY = 'onResFinished';
/** The hook that Nest adds to each application. It calls another one, if there is one. */
const OF_NEST = '["anonymous()"]';

interface FastifyInstance {
  readonly log?: { readonly info: unknown; readonly error: unknown };
  printRoutes?(options: { includeHooks: true; commonPrefix: false }): string;
}

/** Which listeners of responses do nothing in an application: that of Fastify, with no hook but an empty one of Nest, and without a log. */
export function idleListeners(adapter: AbstractHttpAdapter): IsIdle {
  const { onResponseHook } = adapter as unknown as { onResponseHook?: unknown };
  const instance = adapter.getInstance<FastifyInstance>();
  // Without a logger, one function that does nothing stands for all of its methods.
  const isLogged = instance?.log?.info !== instance?.log?.error;
  if (onResponseHook || !instance?.printRoutes || isLogged) return () => false;
  const hooks = instance
    .printRoutes({ includeHooks: true, commonPrefix: false })
    .matchAll(/\(onResponse\) (.*)/g);
  const names = [...hooks].map(([, name]) => name);
  const isEmpty = names.length > 0 && names.every((name) => name === OF_NEST);
  return ({ name }) => isEmpty && name === FASTIFY;
}
