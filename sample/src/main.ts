import { fileURLToPath } from 'node:url';
import { Logger } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { AppModule } from './app.module.js';

const app = await NestFactory.create<NestExpressApplication>(AppModule);
// Above the 256 KiB that an event may have, so that it is the module that answers what is too large.
app.useBodyParser('json', { limit: '2mb' });
app.useStaticAssets(fileURLToPath(new URL('../public', import.meta.url)));
app.enableShutdownHooks(['SIGTERM', 'SIGINT'], { useProcessExit: true });
await app.listen(process.env.PORT || 3000);
const { port } = app.getHttpServer().address() as { port: number };
const broker = process.env.SSE_REDIS_URL ? 'Redis' : 'memory';
new Logger('Sample').log(`Listening on http://localhost:${port}, events go through ${broker}`);
