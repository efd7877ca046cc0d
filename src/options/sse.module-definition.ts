import { ConfigurableModuleBuilder } from '@nestjs/common';
import { checkKeys, optionError, show, SseError } from '../common/sse.errors.js';
import type { SseModuleOptions } from './sse.options.js';

export const {
  ConfigurableModuleClass,
  MODULE_OPTIONS_TOKEN: SSE_OPTIONS,
  OPTIONS_TYPE,
  ASYNC_OPTIONS_TYPE,
} = new ConfigurableModuleBuilder<SseModuleOptions | string>({ moduleName: 'Sse' })
  .setClassMethodName('forRoot')
  .setFactoryMethodName('createSseOptions')
  .setExtras({ isGlobal: true }, (definition, { isGlobal }) => ({ ...definition, global: isGlobal }))
  .build();

const WAYS = ['useFactory', 'useClass', 'useExisting'];
const ASYNC_KEYS = [...WAYS, 'inject', 'imports', 'provideInjectionTokensFrom', 'isGlobal'];

/**
 * Whether the module is global. @default true
 *
 * @throws SseError `SSE_OPTIONS`
 */
export function checkGlobal(isGlobal: unknown = true): boolean {
  if (typeof isGlobal !== 'boolean') throw optionError('isGlobal', 'true or false', show(isGlobal));
  return isGlobal;
}

/**
 * Checks the argument of `forRootAsync()`: Nest ignores a misspelt key.
 *
 * @throws SseError `SSE_OPTIONS`
 */
export function checkAsyncOptions(options: typeof ASYNC_OPTIONS_TYPE): void {
  checkKeys('SSE_OPTIONS', 'options of forRootAsync()', options, ASYNC_KEYS);
  const given = WAYS.filter((way) => options[way as keyof typeof options] !== undefined);
  if (given.length !== 1) {
    const got = given.length === 0 ? 'none' : given.join(' and ');
    const message = `SseModule: expected one of ${WAYS.join(', ')} in forRootAsync(), got ${got}`;
    throw new SseError('SSE_OPTIONS', message);
  }
  for (const [name, value] of Object.entries({
    useFactory: options.useFactory,
    useClass: options.useClass,
  })) {
    if (value !== undefined && typeof value !== 'function') {
      throw optionError(name, name === 'useFactory' ? 'a function' : 'a class', show(value));
    }
  }
  if (options.useExisting === null) throw optionError('useExisting', 'the token of a provider', 'null');
}
