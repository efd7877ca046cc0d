import { describe, expect, it } from '@jest/globals';
import { Cli } from './support/cli.js';
import { connect } from './support/client.js';
import { compiled } from './support/programs.js';
import { redisUrl } from './support/redis.js';
import { until } from './support/until.js';

const [controller, worker] = compiled('docs/streams.md');

/** A node with the routes of the page, which prints its address. */
const NODE = (platform: string) => `
  import { NestFactory } from '@nestjs/core';
  import { SseModule } from 'nestjs-sse-channels';
  ${controller}
  const imports = [SseModule.forRoot(process.env.REDIS)];
  const module = { module: class {}, imports, controllers: [JobsController] };
  ${platform}
  await app.listen(0);
  console.log(await app.getUrl());
`;
const EXPRESS = NODE('const app = await NestFactory.create(module, { logger: false });');
const FASTIFY = NODE(`
  const { FastifyAdapter } = await import('@nestjs/platform-fastify');
  const app = await NestFactory.create(module, new FastifyAdapter(), { logger: false });
`);

/** A process without HTTP, which runs one job of the page. */
const WORKER = `
  import { NestFactory } from '@nestjs/core';
  import { SseModule } from 'nestjs-sse-channels';
  ${worker}
  const module = { module: class {}, imports: [SseModule.forRoot(process.env.REDIS)], providers: [Exports] };
  const app = await NestFactory.createApplicationContext(module, { logger: false });
  async function* rows() {
    for (let row = 0; row < 3; row++) yield { row };
    if (process.env.FAILS) throw new Error('secret');
  }
  const id = process.env.JOB;
  console.log(JSON.stringify(await app.get(Exports).process({ id, rows: rows() }).catch(({ message }) => message)));
  await app.close();
`;

const run = (program: string, env = {}) =>
  new Cli('', { REDIS: redisUrl(), ...env }, ['node', '--input-type=module', '--eval', program]);

async function startNode(program: string): Promise<string> {
  const node = run(program);
  await until(() => node.lines.length === 1);
  return node.lines[0]!.replace('[::1]', 'localhost');
}

const unique = () => `guide-${crypto.randomUUID()}`;

const post = (url: string, body = {}) =>
  fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });

describe('The guide docs/streams.md', () => {
  it('has routes that start a job, and deliver and stop it on another node', async () => {
    const [one, two] = (await Promise.all([EXPRESS, FASTIFY].map(startNode))) as [string, string];
    const id = unique();
    const first = await post(`${one}/jobs`, { id, steps: 3 });
    const other = await connect(`${two}/jobs/${id}`);
    const text = await first.text();
    await until(() => other.ended);
    const expected = [
      ['sse.open', JSON.stringify({ channel: `job:${id}` })],
      ...[1, 2, 3].map((done) => ['step', JSON.stringify({ done, of: 3 })]),
      ['sse.end', '{"status":"done"}'],
    ];
    expect(other.events.map(({ event, data }) => [event, data])).toEqual(expected);
    const names = [...text.matchAll(/^(?:event|data): (.*)$/gm)].map(([, value]) => value);
    expect(names).toEqual(expected.flat());

    const stopped = unique();
    await post(`${one}/jobs`, { id: stopped, steps: 10_000 });
    const reader = await connect(`${two}/jobs/${stopped}`);
    expect(await (await post(`${two}/jobs/${stopped}/stop`)).json()).toEqual({ answer: 'stopped' });
    await until(() => reader.ended);
    expect(reader.events.at(-1)).toMatchObject({ data: '{"status":"aborted","reason":"user"}' });
    expect((await connect(`${one}/jobs/${unique()}`)).status).toBe(204);
  });

  it('has a worker whose stream ends with its job', async () => {
    const url = await startNode(EXPRESS);
    // The route of the page reads ids that begin with `job:`.
    const program = WORKER.replace('`export:', '`job:');
    for (const [env, answer, end] of [
      [{}, { status: 'done' }, { status: 'done' }],
      [{ FAILS: '1' }, 'secret', { status: 'error', reason: 'failed' }],
    ] as const) {
      const id = unique();
      const job = run(program, { JOB: id, ...env });
      expect(await job.end()).toBe(0);
      expect(job.lines.map((line) => JSON.parse(line) as unknown)).toContainEqual(answer);
      const reader = await connect(`${url}/jobs/${id}`);
      await until(() => reader.ended);
      expect(reader.events.slice(1).map(({ data }) => JSON.parse(data) as unknown)).toEqual([
        { row: 0 },
        { row: 1 },
        { row: 2 },
        end,
      ]);
    }
  });
});
