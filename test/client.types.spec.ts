import { readFileSync } from 'node:fs';
import { afterAll, describe, expect, it } from '@jest/globals';
import { build, type Plugin, stop } from 'esbuild';
import { compile } from './support/typescript.js';

const IMPORTS = `
import { connect, type SseClientEvent, type SseClientEventOf, type SseSource, type SseTypedSource } from 'nestjs-sse-channels/client';
import { useSse, useSseSource, useSseState } from 'nestjs-sse-channels/client/react';
import { fromSse } from 'nestjs-sse-channels/client/rxjs';
import { filter, from, type Observable } from 'rxjs';
import type { SseChannelDefinition } from 'nestjs-sse-channels';
import type { news, orders } from '../support/typed/orders.js';
type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const same = <A, B>(equal: Equal<A, B>) => equal;
const source = connect<typeof orders>('/orders/7/events');
const both = connect<typeof orders | typeof news>('/feed', { lastEventId: '1' });
const untyped = connect('/feed');
const any = connect<SseChannelDefinition>('/feed');
`;

/** Each has to compile. */
const RIGHT = {
  listeners: `
    source
      .on('paid', (paid, event) => {
        same<typeof paid, { amount: number; at: string }>(true);
        same<typeof event, SseClientEvent<{ amount: number; at: string }, 'paid'>>(true);
      })
      .once('shipped', (at) => same<typeof at, string>(true))
      .on('message', (message) => same<typeof message, { note: string; tags?: never }>(true));
    const onStatus = ({ status }: { status: string }) => console.log(status);
    source.on('status', onStatus).off('status', onStatus).close();`,
  module: `
    source.on('sse.reset', ({ channel, reason }) => {
      same<typeof channel, string>(true);
      same<typeof reason, 'unknown' | 'lost' | 'limit' | 'failed'>(true);
    });
    source.on('sse.open', ({ channel }) => same<typeof channel, string | readonly string[]>(true));
    source.once('sse.position', ({ truncated }) => same<typeof truncated, true | undefined>(true));
    source.on('sse.end', ({ status, reason }) => {
      same<typeof status, 'done' | 'error' | 'aborted' | 'lost'>(true);
      same<typeof reason, string | undefined>(true);
    });
    source.on('sse.state', (state, { type }) => {
      same<typeof state, SseSource['state']>(true);
      same<typeof type, 'sse.state'>(true);
    });`,
  several: `
    both.on('paid', (paid, event) => {
      same<typeof paid, { amount: number; at: string } | { free: boolean }>(true);
      if ('free' in paid) console.log(paid.free, event.id);
    });
    both.on('status', ({ status }) => same<typeof status, 'open' | 'sent'>(true));
    both.on('message', (data) => same<typeof data, string | { note: string; tags?: never }>(true));`,
  iteration: `
    for await (const event of source) {
      switch (event.type) {
        case 'paid': same<typeof event.data, { amount: number; at: string }>(true); break;
        case 'status': same<typeof event.data.status, 'open' | 'sent'>(true); break;
        case 'shipped': same<typeof event.data, string>(true); break;
        case 'message': same<typeof event.data.note, string>(true); break;
        case 'sse.reset': console.log(event.data.reason); break;
        case 'sse.end': console.log(event.data.status); break;
        case 'sse.open':
        case 'sse.position': console.log(event.data.channel); break;
        default: same<typeof event, never>(true);
      }
    }`,
  anyDefinition: `
    any.on('paid', (data) => same<typeof data, unknown>(true)).on('sse.state', () => {});
    for await (const { data } of any) same<typeof data, unknown>(true);`,
  untyped: `
    same<typeof untyped, SseSource>(true);
    untyped
      .on('paid', (data) => same<typeof data, unknown>(true))
      .on<{ amount: number }>('paid', ({ amount }, { data }) => console.log(amount, data.amount))
      .once('paid', ({ amount }: { amount: number }, { id }) => console.log(amount, id))
      .on('sse.state', (state) => same<typeof state, SseSource['state']>(true))
      .on('sse.state', (state: unknown) => console.log(state));
    const subscribe = <T>(type: string, listener: (data: T) => void) => untyped.on(type, listener).off(type, listener);`,
  react: `
    const typed = useSseSource<typeof orders>('/orders/7/events');
    same<typeof typed, SseTypedSource<typeof orders> | undefined>(true);
    const last = useSse(typed, 'paid');
    same<typeof last, SseClientEvent<{ amount: number; at: string }, 'paid'> | undefined>(true);
    useSse(typed, 'status', ({ status }, event) => {
      same<typeof status, 'open' | 'sent'>(true);
      same<typeof event.type, 'status'>(true);
    });
    same<ReturnType<typeof useSseState>, SseSource['state'] | undefined>(true);
    useSseState(typed);
    const plain = useSseSource('/feed');
    same<typeof plain, SseSource | undefined>(true);
    useSseState(plain);
    const status = useSse<{ status: string }>(plain, 'status');
    console.log(status?.data.status);
    useSse<string>(plain, 'note', (note) => note.length);
    useSse(plain, 'note', (note: string) => note.length);
    useSse(plain, 'note', (note) => same<typeof note, unknown>(true));`,
  rxjs: `
    const events = fromSse<typeof orders>('/orders/7/events');
    same<typeof events, Observable<SseClientEventOf<typeof orders>>>(true);
    events.pipe(filter((event) => event.type === 'paid')).subscribe(({ data }) => console.log(data.at.length));
    from(source).subscribe((event) => event.type === 'shipped' && event.data.length);
    fromSse<{ id: number }>('/feed').subscribe(({ type, data }) => console.log(type.length, data.id));
    fromSse<{ pattern: string }>('/feed').subscribe(({ data }) => data.pattern);
    fromSse<number>('/feed').subscribe(({ data }) => data.toFixed());
    fromSse<any>('/feed').subscribe(({ type, data }) => type === 'paid' && data.amount);
    same<ReturnType<typeof numbers>, Observable<SseClientEvent<unknown>>>(true);
    function numbers() { return fromSse('/feed'); }`,
};

/** Each has to fail with the words of the compiler. */
const WRONG: Record<string, readonly [code: string, ...messages: string[]]> = {
  unknownType: [
    `source.on('payed', () => {});`,
    `Argument of type '"payed"' is not assignable to parameter of type`,
    `"paid" | "status" | "shipped" | "message"`,
    '"sse.state"',
  ],
  emptyType: [`source.on('', () => {});`, `Argument of type '""' is not assignable`],
  otherDefinition: [`connect<typeof news>('/news').once('status', () => {});`, `Argument of type '"status"'`],
  wrongData: [
    `source.on('paid', ({ amount }: { amount: string }) => amount);`,
    `Types of property 'amount' are incompatible.`,
    `Type 'number' is not assignable to type 'string'.`,
  ],
  dateIsText: [
    `source.on('paid', ({ at }) => at.getTime());`,
    `Property 'getTime' does not exist on type 'string'.`,
  ],
  leftOut: [`source.on('message', ({ draft }) => draft);`, `Property 'draft' does not exist`],
  wrongStatus: [
    `source.on('status', ({ status }) => status === 'lost');`,
    `This comparison appears to be unintentional because the types '"open" | "sent"' and '"lost"' have no overlap.`,
  ],
  wrongOff: [
    `source.off('paid', (amount: number) => amount);`,
    `Types of parameters 'amount' and 'data' are incompatible.`,
    `is not assignable to type 'number'.`,
  ],
  oneOfSeveral: [`both.on('paid', ({ amount }) => amount);`, `Property 'amount' does not exist on type`],
  iteration: [
    `for await (const { data } of source) data.amount;`,
    `Property 'amount' does not exist on type`,
  ],
  iterationType: [
    `for await (const { type } of source) type === 'payed';`,
    `This comparison appears to be unintentional`,
  ],
  noDefinition: [
    `connect<{ paid: number }>('/feed');`,
    `Type '{ paid: number; }' does not satisfy the constraint 'SseClientDefinition'.`,
  ],
  noValue: [`connect<typeof fetch>('/feed');`, `does not satisfy the constraint 'SseClientDefinition'.`],
  untypedState: [
    `untyped.on('sse.state', (state: number) => state);`,
    `No overload matches this call.`,
    `Argument of type '(state: number) => number' is not assignable to parameter of type 'SseListener<SseState>'.`,
  ],
  untypedOnce: [`untyped.once('sse.state', (state: number) => state);`, `No overload matches this call.`],
  reactType: [`useSse(source, 'payed');`, `No overload matches this call.`, `Argument of type '"payed"'`],
  reactData: [`useSse(source, 'paid', (paid: string) => paid);`, `No overload matches this call.`],
  reactLast: [
    `useSse(source, 'paid')?.data.at.getTime();`,
    `Property 'getTime' does not exist on type 'string'.`,
  ],
  rxjs: [
    `fromSse<typeof orders>('/feed').subscribe((event) => event.type === 'payed');`,
    `This comparison appears to be unintentional`,
  ],
};

describe('The types of the client', () => {
  const snippets = [
    ...Object.entries(RIGHT).map(([name, code]) => [`right-${name}`, code] as const),
    ...Object.entries(WRONG).map(([name, [code]]) => [`wrong-${name}`, code] as const),
  ];
  const found = compile(Object.fromEntries(snippets.map(([name, code]) => [name, `${IMPORTS}${code}`])));

  it.each(Object.keys(RIGHT))('accept what a definition says: %s', (name) => {
    expect(found[`right-${name}`]).toEqual([]);
  });

  it.each(Object.entries(WRONG))('refuse what it does not say: %s', (name, [, ...messages]) => {
    const [error, ...others] = found[`wrong-${name}`]!;
    expect(others).toEqual([]);
    for (const message of messages) expect(error).toContain(message);
  });
});

describe('The bundle of a page with typed channels', () => {
  const page = readFileSync('test/support/typed/page.ts', 'utf8');
  /** The packages of the server, if it had any. */
  const server: Plugin = {
    name: 'server',
    setup: (bundler) =>
      bundler.onResolve({ filter: /^(nestjs-sse-channels|zod)$/ }, ({ path }) => ({ path, external: true })),
  };
  const bundle = async (contents: string) => {
    const { outputFiles, metafile } = await build({
      stdin: { contents, resolveDir: 'test/support/typed', loader: 'ts' },
      plugins: [server],
      bundle: true,
      minify: true,
      format: 'esm',
      metafile: true,
      write: false,
    });
    const inputs = Object.keys(metafile.inputs).filter((path) => path !== '<stdin>');
    const outside = inputs.filter((path) => !path.startsWith('dist/client/'));
    return { bytes: outputFiles[0]!.contents.length, inputs, outside };
  };
  afterAll(() => stop());

  it('has the files of the client only, and the size of a page without types', async () => {
    const typed = await bundle(page);
    const untyped = await bundle(page.replace('<typeof orders>', '').replace(/import type .*/, ''));
    expect([typed.outside, typed.bytes]).toEqual([[], untyped.bytes]);
    expect(typed.inputs).toContain('dist/client/index.js');
    // An import of the value would be noticed.
    const withValue = await bundle(`${page.replace('import type', 'import')}\nexport { orders };`);
    expect(withValue.outside).toEqual(['test/support/typed/orders.ts']);
  });
});
