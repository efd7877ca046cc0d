import type { Shared } from './global-setup.js';

export default function teardown(): void {
  (globalThis as Shared).testRedis?.kill('SIGKILL');
}
