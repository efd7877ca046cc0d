import { beforeEach, jest } from '@jest/globals';
import { Logger } from '@nestjs/common';

/** What is said at each level, from the beginning of each test on; nothing of it is printed. */
export function watchLog() {
  const failed = jest.spyOn(Logger.prototype, 'error');
  const warned = jest.spyOn(Logger.prototype, 'warn');
  const logged = jest.spyOn(Logger.prototype, 'log');
  beforeEach(() => {
    for (const level of [failed, warned, logged]) level.mockReset().mockReturnValue(undefined);
  });
  return { failed, warned, logged };
}
