import { describe, expect, it } from '@jest/globals';
import { compile } from './support/typescript.js';

describe('The compiler of snippets', () => {
  it('gives the messages of each snippet, and knows the entry points of the package and other snippets', () => {
    const found = compile({
      orders: `
        import { defineChannel, type } from 'nestjs-sse-channels';
        export const orders = defineChannel('order:{id}', { paid: type<{ amount: number }>() });`,
      right: `
        import type { SseSource } from 'nestjs-sse-channels/client';
        import { orders } from './orders.js';
        const source: SseSource | undefined = undefined;
        const pattern: 'order:{id}' = orders.pattern;`,
      wrong: `
        import { orders } from './orders.js';
        const pattern: 'order' = orders.pattern;
        orders({ number: 7 });`,
      strict: `
        import { tabs } from 'nestjs-sse-channels/client/tabs';
        const name = (value) => value;
        tabs(5);`,
      missing: `import { neverExported } from 'nestjs-sse-channels';`,
      syntax: `const = 5;`,
    });
    expect(found).toEqual({
      orders: [],
      right: [],
      wrong: [
        `Type '"order:{id}"' is not assignable to type '"order"'.`,
        expect.stringContaining(
          `'number' does not exist in type '{ readonly id: string | number | bigint; }'`,
        ),
      ],
      strict: [
        `Parameter 'value' implicitly has an 'any' type.`,
        `Argument of type 'number' is not assignable to parameter of type 'string'.`,
      ],
      missing: [`Module '"nestjs-sse-channels"' has no exported member 'neverExported'.`],
      syntax: ['Variable declaration expected.'],
    });
  });
});
