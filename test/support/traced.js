/** An application on both platforms that prints every span. The first line has the ports. */
import { Controller, Get, Inject, Module, Post, Sse } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { trace } from '@opentelemetry/api';
import { NodeTracerProvider } from '@opentelemetry/sdk-trace-node';
import { SseChannel, SseModule, SseService } from 'nestjs-sse-channels';

/** Prints spans when they end. */
class Printer {
  onStart() {}
  onEnd({ name, attributes, duration: [s, ns], parentSpanContext }) {
    const span = {
      name,
      path: attributes['url.path'],
      ms: s * 1_000 + ns / 1e6,
      hasParent: !!parentSpanContext,
    };
    process.stdout.write(`${JSON.stringify(span)}\n`);
  }
  async forceFlush() {}
  async shutdown() {}
}

const tracer = trace.getTracer('orders');

/** The snippet of docs/observability.md. */
function publish(sse, data, options) {
  return tracer.startActiveSpan('publish', (span) => sse.publish(data, options).finally(() => span.end()));
}

class OrdersController {
  constructor(sse) {
    this.sse = sse;
  }

  events() {
    return 'order:7';
  }

  prices() {
    return this.sse.messages('prices');
  }

  show() {
    return this.sse.stats();
  }

  pay() {
    return publish(this.sse, { status: 'paid' }, { channel: 'order:7' });
  }
}

function decorate(name, decorator) {
  const { prototype } = OrdersController;
  decorator(prototype, name, Object.getOwnPropertyDescriptor(prototype, name));
}

Inject(SseService)(OrdersController, undefined, 0);
decorate('events', SseChannel('orders/:id/events'));
decorate('prices', Sse('prices'));
decorate('show', Get('orders/:id'));
decorate('pay', Post('orders/:id/status'));
Controller()(OrdersController);

// oxlint-disable-next-line typescript/no-extraneous-class -- Nest takes its modules for what is written on them
class AppModule {}
Module({ imports: [SseModule.forRoot()], controllers: [OrdersController] })(AppModule);

new NodeTracerProvider({ spanProcessors: [new Printer()] }).register();
const ports = [];
for (const adapter of [new ExpressAdapter(), new FastifyAdapter()]) {
  const app = await NestFactory.create(AppModule, adapter, { logger: false });
  await app.listen(0, '127.0.0.1');
  ports.push(app.getHttpServer().address().port);
}
process.stdout.write(`${JSON.stringify(ports)}\n`);
