/** Decorators without a compiler: one on a method, one on its only parameter. */
export function decorate({ prototype }, method, onMethod, onParameter) {
  onParameter(prototype, method, 0);
  onMethod(prototype, method, Object.getOwnPropertyDescriptor(prototype, method));
}
