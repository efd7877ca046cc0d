import type { TestingModule } from '@nestjs/testing';
import {
  defineChannel,
  SseModule,
  type SseModuleOptions,
  SseService,
  type StandardSchema,
  type,
} from 'nestjs-sse-channels';
import { z } from 'zod';
import { compileModule } from './nest-module.js';

const paid = z.object({ amount: z.number(), at: z.date().optional() });
export const orders = defineChannel('order:{id}', {
  paid,
  note: type<string>(),
  '': type<{ text: string }>(),
});

const modules = new WeakMap<SseService, TestingModule>();

export async function startService(options: SseModuleOptions = {}): Promise<SseService> {
  const module = await compileModule({ imports: [SseModule.forRoot(options)] });
  const sse = module.get(SseService);
  modules.set(sse, module);
  return sse;
}

/** The module of a service. */
export const moduleOf = (sse: SseService): TestingModule => modules.get(sse)!;

/** Closes the application of a service. */
export const closeModule = (sse: SseService): Promise<void> => moduleOf(sse).close();

/** A schema whose results come when the test says so. */
export function manual() {
  const pending: ((result: unknown) => void)[] = [];
  const schema: StandardSchema = {
    '~standard': {
      version: 1,
      vendor: 'test',
      validate: (value) =>
        new Promise((resolve) => {
          pending.push((result) => resolve((result ?? { value }) as { value: unknown }));
        }),
    },
  };
  return { schema, pending };
}

/** A schema of a library that may have any fault. */
export const schemaOf = (validate: () => unknown) =>
  ({ '~standard': { version: 1, vendor: 'test', validate } }) as unknown as StandardSchema;
