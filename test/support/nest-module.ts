import { afterEach } from '@jest/globals';
import type { ModuleMetadata } from '@nestjs/common';
import { Test, type TestingModule } from '@nestjs/testing';

const open: { close(): Promise<unknown> }[] = [];

/** Closes a module, an application or a server after the test. */
export function closeAfterTest<T extends { close(): Promise<unknown> }>(resource: T): T {
  open.push(resource);
  return resource;
}

afterEach(async () => {
  await Promise.all(open.splice(0).map((resource) => resource.close()));
});

/** Compiles a module without an HTTP server. It is closed after the test. */
export async function compileModule(metadata: ModuleMetadata): Promise<TestingModule> {
  return closeAfterTest(await Test.createTestingModule(metadata).compile());
}
