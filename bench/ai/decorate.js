/** Decorators, without TypeScript. */
import 'reflect-metadata';

/** @param parameters one decorator for each parameter */
export function decorate(type, method, decorators, parameters = []) {
  const { prototype } = type;
  for (const [n, decorator] of parameters.entries()) decorator(prototype, method, n);
  for (const decorator of decorators.toReversed()) {
    decorator(prototype, method, Object.getOwnPropertyDescriptor(prototype, method));
  }
}
