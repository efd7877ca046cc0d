import { type AgentCard, type Task, TaskState } from '@a2a-js/sdk';
import { ClientFactory } from '@a2a-js/sdk/client';
import {
  AgentEvent,
  type AgentExecutor,
  DefaultRequestHandler,
  type ExecutionEventBusManager,
  InMemoryTaskStore,
} from '@a2a-js/sdk/server';
import { jsonRpcHandler, UserBuilder } from '@a2a-js/sdk/server/express';
import { describe, expect, it } from '@jest/globals';
import { SseModule, SseService } from 'nestjs-sse-channels';
import { platforms, startApp } from '../support/app.js';
import { behindOneAddress, clientOf } from '../support/interop.js';
import { moduleOf } from '../support/recipes.js';
import { randomPrefix, redisUrl } from '../support/redis.js';
import { eventually, until } from '../support/until.js';

type Update = Partial<Task> & { artifact?: Task['artifacts'][number] };
interface Recipe {
  follow: (client: object, id: string, show: (update: Update) => void, delayMs: number) => Promise<Task>;
}

const cardOf = (url: string) =>
  ({
    name: 'Counter',
    description: '',
    version: '1',
    supportedInterfaces: [{ url, protocolBinding: 'JSONRPC', protocolVersion: '1.0', tenant: '' }],
    capabilities: { streaming: true, extensions: [] },
    securitySchemes: {},
    securityRequirements: [],
    defaultInputModes: [],
    defaultOutputModes: [],
    skills: [],
    signatures: [],
    provider: undefined,
  }) as unknown as AgentCard;

/** An agent whose task writes a part of an artifact with each step of the test. */
class Counter implements AgentExecutor {
  step = (_n: number | undefined): void => undefined;

  async execute(
    { taskId, contextId }: { taskId: string; contextId: string },
    bus: Parameters<AgentExecutor['execute']>[1],
  ) {
    const status = (state: TaskState) => ({ state, message: undefined, timestamp: new Date().toISOString() });
    const task = { id: taskId, contextId, artifacts: [], history: [], metadata: {} };
    bus.publish(AgentEvent.task({ ...task, status: status(TaskState.TASK_STATE_WORKING) }));
    for (;;) {
      const n = await new Promise<number | undefined>((resolve) => (this.step = resolve));
      if (n === undefined) break;
      const content = { $case: 'text' as const, value: String(n) };
      const part = { content, mediaType: 'text/plain', filename: '', metadata: {} };
      const artifact = {
        artifactId: 'count',
        name: '',
        description: '',
        parts: [part],
        metadata: {},
        extensions: [],
      };
      bus.publish(
        AgentEvent.artifactUpdate({
          taskId,
          contextId,
          artifact,
          append: true,
          lastChunk: false,
          metadata: {},
        }),
      );
    }
    const completed = status(TaskState.TASK_STATE_COMPLETED);
    bus.publish(AgentEvent.statusUpdate({ taskId, contextId, status: completed, metadata: {} }));
  }

  async cancelTask() {}
}

async function start() {
  type Server = { busesOf: (sse: SseService) => ExecutionEventBusManager };
  const { busesOf } = await moduleOf<Server>('a2a.md');
  const { follow } = await clientOf<Recipe>('a2a.md');
  const [prefix, store, executor] = [randomPrefix(), new InMemoryTaskStore(), new Counter()];
  const [[, express]] = platforms;
  const startNode = async () => {
    const imports = [SseModule.forRoot({ redis: redisUrl(), prefix })];
    const { app, url } = await startApp(express, { imports }, (application) => {
      const buses = busesOf(application.get(SseService));
      const requestHandler = new DefaultRequestHandler(cardOf('http://agent'), store, executor, buses);
      application.use('/a2a', jsonRpcHandler({ requestHandler, userBuilder: UserBuilder.noAuthentication }));
    });
    return { app, url, sse: app.get(SseService) };
  };
  const nodes = await behindOneAddress([await startNode(), await startNode()]);
  const client = await new ClientFactory().createFromAgentCard(cardOf(`${nodes.url}/a2a`));
  const message = {
    messageId: crypto.randomUUID(),
    role: 1,
    parts: [],
    metadata: {},
    extensions: [],
    referenceTaskIds: [],
  };
  const task = (await client.sendMessage({
    message: { ...message, contextId: '', taskId: '' },
    configuration: { returnImmediately: true },
  } as unknown as Parameters<typeof client.sendMessage>[0])) as Task;
  const seen: number[] = [];
  const numbersOf = ({ artifacts = [], artifact }: Update) =>
    [...artifacts, ...(artifact ? [artifact] : [])].flatMap(({ parts }) =>
      parts.map(({ content }) => Number(content!.value)),
    );
  const show = (update: Update) => seen.push(...numbersOf(update));
  return { nodes, executor, seen, numbersOf, follow: () => follow(client, task.id, show, 20) };
}

const COUNT = 100;
const all = Array.from({ length: COUNT }, (_, n) => n);

describe('The recipe a2a.md', () => {
  it('gives each update of a task once and in order through ten broken connections, on two nodes', async () => {
    const { nodes, executor, seen, numbersOf, follow } = await start();
    executor.step(0);
    const following = follow();
    for (let n = 1; n < COUNT; n++) {
      if (n % 10 === 1) {
        await until(
          () => [n, ...seen],
          ({ length }) => length > n - n / 5,
        );
        nodes.swap();
      }
      executor.step(n);
      await new Promise(setImmediate);
    }
    await until(
      () => seen,
      ({ length }) => length >= COUNT,
    );
    expect(seen).toEqual(all);
    executor.step(undefined);
    const task = await eventually('The end of the task', following);
    expect(numbersOf(task)).toEqual(all);
    await until(() => nodes.nodes.every(({ sse }) => sse.connections().length === 0));
    nodes.close();
  });
});
