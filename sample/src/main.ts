import { fileURLToPath } from 'node:url';
import { Logger } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { AppModule } from './app.module.js';

/** Pages of other nodes on this machine. They may read and publish here, without cookies. */
const LOCAL_PAGES = /^http:\/\/(localhost|127\.0\.0\.1|\[::1\])(:\d+)?$/;

const app = await NestFactory.create<NestExpressApplication>(AppModule);
app.enableCors({ origin: LOCAL_PAGES, methods: ['GET', 'POST'] });
// More than the 256 KiB of an event, so that the module refuses larger ones and says why.
app.useBodyParser('json', { limit: '2mb' });
// `/chat` is `chat.html`.
app.useStaticAssets(fileURLToPath(new URL('../public', import.meta.url)), { extensions: ['html'] });
// The page imports the package's client.
const client = new URL('.', import.meta.resolve('nestjs-sse-channels/client'));
app.useStaticAssets(fileURLToPath(client), { prefix: '/client/' });
// The page shows the code behind its panels.
app.useStaticAssets(fileURLToPath(new URL('../src', import.meta.url)), { prefix: '/src/' });
app.enableShutdownHooks(['SIGTERM', 'SIGINT'], { useProcessExit: true });
await app.listen(process.env.PORT || 3000);
const { port } = app.getHttpServer().address() as { port: number };
const broker = process.env.SSE_REDIS_URL ? 'Redis' : 'memory';
new Logger('Sample').log(`Listening on http://localhost:${port}, events go through ${broker}`);
