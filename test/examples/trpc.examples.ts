import { describe, expect, it } from '@jest/globals';
import type { Type } from '@nestjs/common';
import { EventSource } from 'eventsource';
import type { SseModuleOptions } from 'nestjs-sse-channels';
import { clientOf, describeRecipe, startNodes } from '../support/interop.js';
import { moduleOf } from '../support/recipes.js';
import { until } from '../support/until.js';

type Event = { type?: string; data: { n: number } };
interface Recipe {
  follow: (
    url: string,
    load: () => unknown,
    show: (event: Event) => void,
    options: object,
  ) => Promise<{ unsubscribe(): void }>;
}

async function start(sse?: SseModuleOptions, user: { id?: string } = { id: 'ann' }) {
  const { TrpcController } = await moduleOf<{ TrpcController: Type }>('trpc.md');
  const nodes = await startNodes({ controllers: [TrpcController], sse, user });
  const { follow } = await clientOf<Recipe>('trpc.md');
  const seen: unknown[] = [];
  const statuses: number[] = [];
  let chunks = 0;
  /** An `EventSource` reconnects after 3 s unless the server says otherwise, and tRPC says nothing. */
  const fetchWithRetry: typeof fetch = async (url, init) => {
    const response = await fetch(url, init);
    statuses.push(response.status);
    const retry = new TextEncoder().encode('retry: 20\n\n');
    const stream = new TransformStream<Uint8Array, Uint8Array>({
      start: (controller) => controller.enqueue(retry),
      transform: (chunk, controller) => (chunks++, controller.enqueue(chunk)),
    });
    return new Response(response.body!.pipeThrough(stream), response);
  };
  const options = { EventSource, eventSourceOptions: { fetch: fetchWithRetry } };
  const show = ({ type, data }: Event) => seen.push(type ?? data.n);
  const subscribe = async (load: () => unknown) => {
    const subscription = await follow(`${nodes.url}/trpc`, load, show, options);
    await until(() => chunks > 0);
    return () => subscription.unsubscribe();
  };
  return { nodes, seen, subscribe, statuses };
}

describeRecipe('trpc.md', start);

describe('The recipe trpc.md', () => {
  it('resumes after an answer that ends an EventSource', async () => {
    const user: { id?: string } = { id: 'ann' };
    const { nodes, seen, subscribe, statuses } = await start({}, user);
    const unsubscribe = await subscribe(() => undefined);
    delete user.id;
    nodes.swap();
    await until(() => statuses.at(-1) === 403);
    await nodes.nodes[0]!.sse.publish({ n: 1 }, { channel: 'orders' });
    user.id = 'ann';
    await until(() => seen.length > 0);
    expect(seen).toEqual([1]);
    unsubscribe();
    nodes.close();
  });
});
