import type { INestApplication, ModuleMetadata } from '@nestjs/common';
import type { NestApplicationContext } from '@nestjs/core';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { Test, type TestingModuleBuilder } from '@nestjs/testing';
import { afterEach } from '@jest/globals';
import { closeClients } from './client.js';

/** Every test of HTTP runs on both. */
export const platforms = [
  ['Express', () => new ExpressAdapter()],
  ['Fastify', () => new FastifyAdapter()],
] as const;

export type Platform = (typeof platforms)[number][1];

const apps = new Set<INestApplication>();

/** Starts an application on a free port; it is closed after the test. */
export async function startApp(
  platform: Platform,
  metadata: ModuleMetadata,
  configure: (app: INestApplication) => void = () => undefined,
  override: (builder: TestingModuleBuilder) => TestingModuleBuilder = (builder) => builder,
): Promise<{ app: INestApplication; url: string }> {
  const module = await override(Test.createTestingModule(metadata)).compile();
  const app = module.createNestApplication(platform(), { logger: ['fatal'] });
  apps.add(app);
  configure(app);
  await app.listen(0, '127.0.0.1');
  const { port } = app.getHttpServer().address() as { port: number };
  return { app, url: `http://127.0.0.1:${port}` };
}

/** The shutdown of Nest on SIGTERM, without the end of the process. */
export function terminate(app: INestApplication): Promise<void> {
  return (app as unknown as NestApplicationContext).close('SIGTERM');
}

afterEach(async () => {
  closeClients();
  const closing = [...apps].map((app) => app.close());
  apps.clear();
  await Promise.all(closing);
});
