/**
 * A node for `ai.bench.js` and `ai/cases.js`: Nest on Fastify with the routes of one server, and routes that tell what it costs and how far
 * the model is. Prints its port.
 *
 *   node --expose-gc bench/ai/node.js <sdk | resumable | sse> <Redis> <Redis of the application>
 */
import 'reflect-metadata';
import { Controller, Get, Module, Param, Post } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { Chats } from './chats.js';
import { decorate } from './decorate.js';
import { releaseAll, runOf } from './model.js';

const [server, redis, database] = process.argv.slice(2);
const chats = new Chats(database);

class NodeController {
  async messages(id) {
    return (await chats.read(id)).messages;
  }

  model(id) {
    return runOf(id) ?? {};
  }

  release() {
    return releaseAll();
  }

  async usage() {
    for (let n = 0; n < 3; n++) {
      globalThis.gc();
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    const { rss, heapUsed, external } = process.memoryUsage();
    const { user, system } = process.cpuUsage();
    return { rss, heap: heapUsed + external, cpu: (user + system) / 1e6 };
  }
}
decorate(NodeController, 'messages', [Get('chat/:id/messages')], [Param('id')]);
decorate(NodeController, 'model', [Get('node/model/:id')], [Param('id')]);
decorate(NodeController, 'release', [Post('node/release')]);
decorate(NodeController, 'usage', [Get('node/usage')]);
Controller()(NodeController);

const { serve } = await import(`./server.${server}.js`);
const { imports, controller } = serve({ chats, redis });
Controller()(controller);
class AppModule {}
Module({ imports, controllers: [controller, NodeController] })(AppModule);

const app = await NestFactory.create(AppModule, new FastifyAdapter(), { logger: ['error', 'warn'] });
app.enableShutdownHooks();
await app.listen(0, '127.0.0.1');
process.stdout.write(`${app.getHttpServer().address().port}\n`);
