import type { Type } from '@nestjs/common';
import type { SseModuleOptions } from 'nestjs-sse-channels';
import { clientOf, describeRecipe, moduleForFastify, startNodes } from '../support/interop.js';
import { moduleOf } from '../support/recipes.js';
import { until } from '../support/until.js';

type Event = { type?: string; data: { n: number } };
interface Recipe {
  follow: (
    url: string,
    load: () => unknown,
    show: (event: Event) => void,
    options: { signal: AbortSignal; delayMs: number },
  ) => Promise<void>;
}

async function start(sse?: SseModuleOptions) {
  type Server = { RpcController: Type };
  const servers = [await moduleOf<Server>('orpc.md'), await moduleForFastify<Server>('orpc.md')];
  const nodes = await startNodes(
    ...servers.map(({ RpcController }) => ({ controllers: [RpcController], sse })),
  );
  const { follow } = await clientOf<Recipe>('orpc.md');
  const seen: unknown[] = [];
  const show = ({ type, data }: Event) => seen.push(type ?? data.n);
  const subscribe = async (load: () => unknown) => {
    const stop = new AbortController();
    const following = follow(`${nodes.url}/rpc`, load, show, { signal: stop.signal, delayMs: 10 });
    await until(() => nodes.current().sse.connections().length > 0);
    return () => {
      stop.abort();
      return following.catch(() => undefined);
    };
  };
  return { nodes, seen, subscribe };
}

describeRecipe('orpc.md', start);
