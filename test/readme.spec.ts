import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { connect } from './support/client.js';
import { compile } from './support/compile.js';
import { Sample } from './support/sample.js';

const readme = readFileSync('README.md', 'utf8');
const snippets = [...readme.matchAll(/```ts\n([\s\S]*?)```/g)].map(([, code]) => code!);
const FILES = ['app.module.ts', 'prices.controller.ts', 'read.controller.ts', 'examples.ts'];

/** The files that a reader adds to run the snippets: the second controller, and a main file. */
const MAIN = `
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { SseService } from 'nestjs-sse-channels';
import { AppModule } from './app.module.js';
import { examples } from './examples.js';
import { PricesController } from './prices.controller.js';
import { ReadController, Readers } from './read.controller.js';

@Module({ imports: [AppModule], controllers: [PricesController, ReadController], providers: [Readers] })
class Main {}

const app = await NestFactory.create(Main);
app.use((request: { user?: object }, _: unknown, next: () => void) => {
  request.user = { id: 1, channels: ['my-own'] };
  next();
});
app.enableShutdownHooks(['SIGTERM'], { useProcessExit: true });
await examples(app.get(SseService));
setInterval(() => void app.get(SseService).publish(7, { channel: 'prices' }), 100).unref();
await app.listen(0);
console.log('Listening on http://localhost:' + app.getHttpServer().address().port + ', ');
`;

/** The snippets as files of an application inside this checkout, compiled against the built package. */
describe('The README', () => {
  let dir: string;

  beforeAll(() => {
    mkdirSync('node_modules/.cache', { recursive: true });
    dir = mkdtempSync(join('node_modules/.cache', 'readme-'));
    FILES.forEach((name, index) => writeFileSync(join(dir, name), snippets[index]!));
    writeFileSync(join(dir, 'main.ts'), MAIN);
    const compilerOptions = {
      noEmit: false,
      rootDir: '.',
      outDir: 'out',
      strictPropertyInitialization: false,
    };
    const config = { extends: '../../../tsconfig.json', compilerOptions, include: ['*.ts'] };
    writeFileSync(join(dir, 'tsconfig.json'), JSON.stringify(config));
    writeFileSync(join(dir, 'package.json'), '{"type":"module"}');
    const target = join(dir, 'node_modules/nestjs-sse-channels');
    cpSync('dist', join(target, 'dist'), { recursive: true });
    cpSync('package.json', join(target, 'package.json'));
  });
  afterAll(() => rmSync(dir, { recursive: true, force: true }));

  it('has snippets that compile and work as described', async () => {
    expect(snippets).toHaveLength(FILES.length);
    // In memory, as the Redis of the tests has another address than in the README.
    const module = join(dir, 'app.module.ts');
    writeFileSync(module, readFileSync(module, 'utf8').replace(/forRoot\('.*?'\)/, 'forRoot()'));
    compile(dir);
    const { url } = await Sample.start({}, `node ${dir}/out/main.js`);

    const orders = await connect(`${url}/orders/7/events`);
    expect(await orders.next()).toMatchObject({ event: 'sse.open', data: '{"channel":"order:7"}' });
    const headers = { 'content-type': 'application/json' };
    await fetch(`${url}/orders/7/status`, { method: 'POST', headers, body: '{"status":"paid"}' });
    expect(await orders.next()).toMatchObject({ event: 'status', data: '{"status":"paid"}' });
    expect((await fetch(`${url}/orders/x/events`)).status).toBe(400);

    const statuses = [
      'news?channel=sports',
      'news?channel=my-own',
      'mine?channel=my-own',
      'mine?channel=news',
    ].map(async (path) => (await connect(`${url}/${path}`)).status);
    expect(await Promise.all(statuses)).toEqual([200, 403, 200, 403]);

    const prices = await connect(`${url}/prices`);
    expect(await prices.next()).toMatchObject({
      id: expect.stringMatching(/^\d+-\d+$/),
      data: '{"price":7}',
    });
  });

  it('shows module, controller, publish and browser before line 60, within 150 lines', () => {
    const lines = readme.split('\n');
    expect(lines.findIndex((line) => line.includes('new EventSource'))).toBeLessThan(60);
    expect(lines.length).toBeLessThanOrEqual(150);
  });
});
