import { beforeEach, jest } from '@jest/globals';
import { Logger } from '@nestjs/common';

/** The log messages of the current test at each level. None of them is printed. */
export function watchLog() {
  const failed = jest.spyOn(Logger.prototype, 'error');
  const warned = jest.spyOn(Logger.prototype, 'warn');
  const logged = jest.spyOn(Logger.prototype, 'log');
  beforeEach(() => {
    for (const level of [failed, warned, logged]) level.mockReset().mockReturnValue(undefined);
  });
  return { failed, warned, logged };
}
