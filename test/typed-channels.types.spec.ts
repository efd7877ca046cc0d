import { describe, expect, it } from '@jest/globals';
import { compile } from './support/typescript.js';

/** What each snippet has before it. */
const HEAD = `
import { type ExecutionContext, Param } from '@nestjs/common';
import {
  ChannelGuard, defineChannel, filterEvents, heartbeat, type Jsonify, SseChannel, type SseAuthorizer, SseError,
  type SseEventInput, type SseEventOf, SseService, type SseTypedEventInput, type as typed,
} from 'nestjs-sse-channels';
import { z } from 'zod';

declare const sse: SseService;
const orders = defineChannel('order:{id}', {
  status: z.object({ status: z.enum(['open', 'sent']), at: z.date() }),
  paid: typed<{ amount: number }>(),
  price: z.object({ cents: z.number() }).transform(({ cents }) => ({ price: String(cents) })),
  '': typed<string>(),
});
const items = defineChannel('order:{id}/item:{item}', { moved: typed<number>() });
const news = defineChannel('news', { message: typed<string>() });
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const is = <A, B>(equal: Same<A, B>) => equal;
`;

const RIGHT = {
  'publish events of each type': `
    await sse.publish(orders({ id: 7 }), 'paid', { amount: 5 });
    await sse.publish(orders({ id: 'a' }), 'status', { status: 'open', at: new Date() }, { id: 'own' });
    await sse.publish(orders({ id: 7n }), 'price', { cents: 5 });
    await sse.publish(orders({ id: 7 }), '', 'text');
    await sse.publish(items({ id: 7, item: 8 }), 'moved', 1, { transient: true });
    await sse.publish(news(), 'message', 'text');
    await sse.publish({ any: 'data' }, { channel: 'order:7' });`,
  'publish lists of events': `
    await sse.publishAll([]);
    await sse.publishAll([
      { channel: orders({ id: 7 }), type: 'paid', data: { amount: 5 } },
      { channel: orders({ id: 7 }), type: 'status', data: { status: 'open', at: new Date() }, id: 'own' },
      { channel: orders({ id: 7 }), type: '', data: 'text' },
      { channel: items({ id: 7, item: 8 }), type: 'moved', data: 1, transient: true },
      { channel: 'news', data: { any: ['data'] }, retry: 1_000 },
      { data: null },
    ]);
    const rows = [{ id: 1, amount: 5 }];
    await sse.publishAll(rows.map(({ id, amount }) => ({ channel: orders({ id }), type: 'paid' as const, data: { amount } })));
    const events: (SseEventInput | SseTypedEventInput<typeof orders>)[] = [{ data: 1 }];
    events.push({ channel: orders({ id: 7 }), type: 'paid', data: { amount: 5 } });
    await sse.publishAll(events);
    await sse.publishAll([{ data: 1 }, { data: 'x', type: 'b' }] as const);`,
  'repeat what was not published': `
    const rows = [{ id: 1, version: 2 }];
    const events = rows.map((row) => ({ channel: 'rows', data: row, idempotencyKey: \`row-\${row.id}-\${row.version}\` }));
    try {
      await sse.publishAll(events);
    } catch (error) {
      if (!(error instanceof SseError) || error.code !== 'SSE_UNAVAILABLE') throw error;
      await sse.publishAll(events.filter((_, place) => error.outcomes[place]?.status !== 'published'));
    }`,
  'distinguish events by type': `
    for await (const event of sse.events(orders({ id: 7 }))) {
      if (event.type === 'status') is<typeof event.data, { status: 'open' | 'sent'; at: string }>(true);
      else if (event.type === 'paid') is<typeof event.data, { amount: number }>(true);
      else if (event.type === 'price') is<typeof event.data, { price: string }>(true);
      else if (event.type === undefined) is<typeof event.data, string>(true);
      else if (event.type === 'sse.reset') is<typeof event.data.reason, 'unknown' | 'lost' | 'limit' | 'failed'>(true);
      else is<typeof event.type, 'sse.open' | 'sse.position'>(true);
    }
    sse.messages([orders({ id: 7 }), items({ id: 7, item: 8 })]).subscribe((event) => {
      if (event.type === 'moved') is<typeof event.data, number>(true);
      if (event.type === 'paid') is<typeof event.data, { amount: number }>(true);
    });`,
  'give a channel wherever one is expected': `
    await sse.position([orders({ id: 7 }), 'news']);
    await sse.disconnect({ channel: news() });
    sse.messages([news(), 'other']);
    sse.messages(news().name);`,
  'keep their types in a pipe': `
    sse.messages(orders({ id: 7 }))
      .pipe(filterEvents((event) => event.type !== 'paid' || event.data.amount > 0))
      .subscribe((event) => { if (event.type === 'status') is<typeof event.data.at, string>(true); });
    sse.messages<{ n: number }>('a').pipe(filterEvents(({ data }) => data.n > 0), heartbeat());
    sse.messages(orders({ id: 7 })).pipe(heartbeat());
    filterEvents<{ n: number }>(({ data }) => data.n > 0);`,
  'know the parameters': `
    is<ReturnType<typeof items.parse>, { id: string; item: string } | undefined>(true);
    is<typeof orders.pattern, 'order:{id}'>(true);`,
  'declare routes': `
    class Readers implements SseAuthorizer<typeof orders> {
      authorize({ id }: { id: string }, _context: ExecutionContext) { return id === '7'; }
    }
    class Both implements SseAuthorizer<typeof orders | typeof news> {
      authorize(parameters: { id: string } | {}) { return 'id' in parameters; }
    }
    class C {
      @SseChannel('a/:id', { channel: orders, allow: Readers }) a() {}
      @SseChannel('b/:id', { channel: [orders, news], allow: Both }) b(@Param('id') _id: string) {}
      @SseChannel('c', { channel: news }) async c() {}
      @SseChannel('d') d() { return { channel: [orders({ id: 7 }), 'news'], user: 'ann' }; }
      @SseChannel('e') e() { return news(); }
    }
    ChannelGuard(Readers, orders);`,
  'see what JSON makes of a type': `
    is<Jsonify<{ a: Date; b?: number; c: undefined; d: () => void; e: (Date | undefined)[]; f: string | undefined }>,
      { a: string; b?: number; e: (string | null)[]; f?: string }>(true);
    is<Jsonify<[number, Date]>, [number, string]>(true);
    is<Jsonify<{ toJSON(): { n: Date } }>, { n: string }>(true);
    is<Jsonify<Map<string, number> | bigint>, never>(true);
    is<Jsonify<readonly { readonly a: 1 }[]>, readonly { readonly a: 1 }[]>(true);
    is<Jsonify<Record<string, Date>>, Record<string, string>>(true);
    is<Jsonify<{ a: 1 } | null>, { a: 1 } | null>(true);
    is<Jsonify<unknown>, unknown>(true);
    type Json = string | number | boolean | null | Json[] | { [name: string]: Json };
    is<Jsonify<Json>, Json>(true);
    is<Jsonify<z.infer<ReturnType<typeof z.json>>>, z.infer<ReturnType<typeof z.json>>>(true);
    const loose = defineChannel('loose', { a: z.looseObject({ amount: z.number(), at: z.date() }) });
    sse.messages(loose()).subscribe((event) => { if (event.type === 'a') is<typeof event.data.amount, number>(true); });
    sse.messages(loose()).subscribe((event) => { if (event.type === 'a') is<typeof event.data.at, string>(true); });
    is<Jsonify<{ readonly a: Date; readonly b?: Date }>, { readonly a: string; readonly b?: string }>(true);
    interface Tree { readonly at: Date; readonly children: readonly Tree[] }
    const tree: Jsonify<Tree>['children'][number]['children'][number]['at'] = 'a';
    void tree;`,
};

/** Snippets that must not compile, with what the compiler says. */
const WRONG = {
  'a wrong event type': [
    `await sse.publish(orders({ id: 7 }), 'payed', { amount: 5 });`,
    `'"payed"' is not assignable`,
  ],
  'wrong data': [
    `await sse.publish(orders({ id: 7 }), 'paid', { amount: '5' });`,
    `Type 'string' is not assignable to type 'number'`,
  ],
  'data of another event': [
    `await sse.publish(orders({ id: 7 }), 'status', { amount: 5 });`,
    `'amount' does not exist in type`,
  ],
  'a wrong event type in a list': [
    `await sse.publishAll([{ data: 1 }, { channel: orders({ id: 7 }), type: 'payed', data: { amount: 5 } }]);`,
    `Type 'string' is not assignable to type '"" | "status" | `,
  ],
  'wrong data in a list': [
    `await sse.publishAll([{ channel: orders({ id: 7 }), type: 'paid', data: { amount: '5' } }]);`,
    `Type 'string' is not assignable to type 'number'`,
  ],
  'data of another event in a list': [
    `await sse.publishAll([{ channel: orders({ id: 7 }), type: 'status', data: { amount: 5 } }, { data: 1 }]);`,
    `is missing the following properties from type '{ status: "open" | "sent"; at: Date; }'`,
  ],
  'no type in a list': [
    `await sse.publishAll([{ channel: orders({ id: 7 }), data: { amount: 5 } }]);`,
    `Property 'type' is missing`,
  ],
  'an unknown key in a list': [
    `await sse.publishAll([{ chanel: 'a', data: 1 }]);`,
    `is not assignable to type 'never'`,
  ],
  'no data in a list': [`await sse.publishAll([{ channel: 'a' }]);`, `Property 'data' is missing`],
  'a wrong option in a list': [
    `await sse.publishAll([{ channel: orders({ id: 7 }), type: 'paid', data: { amount: 5 }, id: true }]);`,
    `Type 'true' is not assignable`,
  ],
  'the output of a transformation as its input': [
    `await sse.publish(orders({ id: 7 }), 'price', { price: '5' });`,
    `'price' does not exist in type`,
  ],
  'a wrong parameter': [`orders({ order: 7 });`, `'order' does not exist in type`],
  'a missing parameter': [`items({ id: 7 });`, `Property 'item' is missing`],
  'no parameters': [`orders();`, 'Expected 1 arguments, but got 0'],
  'parameters of a pattern without any': [`news({});`, 'Expected 0 arguments, but got 1'],
  'a parameter of another type': [`orders({ id: new Date() });`, `Type 'Date' is not assignable`],
  'a channel among the options': [
    `await sse.publish(orders({ id: 7 }), 'paid', { amount: 5 }, { channel: 'a' });`,
    `'channel' does not exist in type`,
  ],
  'a definition in place of a channel': [
    `await sse.publish(news, 'message', 'text');`,
    `is not assignable to parameter of type 'SseTypedChannel<`,
  ],
  'a typed channel as an option': [
    `await sse.publish('text', { channel: news() });`,
    `Type 'SseTypedChannel<`,
  ],
  'data of another event when subscribing': [
    `sse.messages(orders({ id: 7 })).subscribe((event) => { if (event.type === 'paid') event.data.status; });`,
    `Property 'status' does not exist on type '{ amount: number; }'`,
  ],
  'data before the type is known': [
    `sse.messages(orders({ id: 7 })).subscribe((event) => event.data.amount);`,
    `Property 'amount' does not exist`,
  ],
  'an event type that the channel does not have': [
    `sse.messages(news()).subscribe((event) => event.type === 'paid');`,
    'This comparison appears to be unintentional',
  ],
  'a date that has been text since': [
    `sse.messages(orders({ id: 7 })).subscribe((event) => { if (event.type === 'status') event.data.at.getTime(); });`,
    `Property 'getTime' does not exist on type 'string'`,
  ],
  'an authorizer of names': [
    `class A { authorize(channel: string) { return channel === 'a'; } } class C { @SseChannel('a/:id', { channel: orders, allow: A }) a() {} }`,
    'is not assignable',
  ],
  'an authorizer of other parameters': [
    `class A { authorize(p: { user: string }) { return p.user === 'a'; } } ChannelGuard(A, orders);`,
    'is not assignable',
  ],
  'an authorizer of one of two definitions': [
    `class A { authorize(p: { id: string }) { return p.id === 'a'; } } class C { @SseChannel('a/:id', { channel: [orders, news], allow: A }) a() {} }`,
    'is not assignable',
  ],
  'an authorizer of parameters for names': [
    `class A { authorize(p: { id: string }) { return p.id === 'a'; } } class C { @SseChannel('a', { allow: A }) a() { return 'a'; } }`,
    'is not assignable',
  ],
  'a handler that returns what the option finds': [
    `class C { @SseChannel('a/:id', { channel: orders }) a() { return 'a'; } }`,
    `is not assignable to type 'void`,
  ],
  'events without schemas': [`defineChannel('a', { paid: {} });`, `Property ''~standard'' is missing`],
} as const;

describe('Typed channels, to the compiler', () => {
  const snippets = {
    ...RIGHT,
    ...Object.fromEntries(Object.entries(WRONG).map(([name, [code]]) => [name, code])),
  };
  const errors = compile(
    Object.fromEntries(Object.entries(snippets).map(([name, code]) => [name, `${HEAD}${code}\nexport {};`])),
  );

  it.each(Object.keys(RIGHT))('%s', (name) => expect(errors[name]).toEqual([]));

  it.each(Object.entries(WRONG))('refuse %s', (name, [, words]) => {
    expect(errors[name]!.join('\n')).toContain(words);
  });
});
