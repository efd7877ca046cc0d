import type { Type } from '@nestjs/common';
import type { SseModuleOptions } from 'nestjs-sse-channels';
import { clientOf, describeRecipe, moduleForFastify, startNodes } from '../support/interop.js';
import { moduleOf } from '../support/recipes.js';
import { until } from '../support/until.js';

type Event = { type?: string | null; data: { n: number } };
interface Recipe {
  follow: (
    url: string,
    load: () => unknown,
    show: (event: Event) => void,
    options: { signal: AbortSignal; delayMs: number },
  ) => Promise<void>;
}

async function start(sse?: SseModuleOptions) {
  type Server = { GraphqlController: Type };
  const servers = [await moduleOf<Server>('graphql.md'), await moduleForFastify<Server>('graphql.md')];
  const nodes = await startNodes(
    ...servers.map(({ GraphqlController }) => ({ controllers: [GraphqlController], sse })),
  );
  const { follow } = await clientOf<Recipe>('graphql.md');
  const seen: unknown[] = [];
  const show = ({ type, data }: Event) => seen.push(type ?? data.n);
  const subscribe = async (load: () => unknown) => {
    const stop = new AbortController();
    const following = follow(`${nodes.url}/graphql`, load, show, { signal: stop.signal, delayMs: 10 });
    await until(() => nodes.current().sse.connections().length > 0);
    return () => {
      stop.abort();
      return following;
    };
  };
  return { nodes, seen, subscribe };
}

describeRecipe('graphql.md', start);
