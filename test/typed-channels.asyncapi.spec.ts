import { describe, expect, it } from '@jest/globals';
import { DiagnosticSeverity, Parser, type SchemaInterface } from '@asyncapi/parser';
import { asyncApi, type AsyncApiDocument } from 'nestjs-sse-channels/asyncapi';
import { defineChannel, type } from 'nestjs-sse-channels';
import { jobs, news, options, orders } from './support/described-app.js';

const ERROR: number = DiagnosticSeverity.Error;
const INFO = { title: 'Orders', version: '1.0.0' };

/** The parser brings several types of severity. */
const isError = ({ severity }: { severity: number }) => severity === ERROR;

const parse = async (document: object) => {
  const { document: parsed, diagnostics } = await new Parser().parse(JSON.stringify(document));
  const errors = diagnostics.filter(isError);
  return { parsed, errors: errors.map(({ message, path }) => `${path.join('.')}: ${message}`) };
};

const described = () => asyncApi(INFO, [orders, news, jobs], options);

describe('The AsyncAPI document of the channels', () => {
  it('has the address, the parameters and the messages of each definition', async () => {
    const { parsed, errors } = await parse(described());
    expect(errors).toEqual([]);
    const channels = parsed!.channels().all();
    expect(channels.map((channel) => channel.address())).toEqual(['order:{id}', 'news', 'job:{id}']);
    const [channel] = channels;
    const names = (all: { id(): string }[]) => all.map((each) => each.id());
    expect(names(channel!.parameters().all())).toEqual(['id']);
    expect(names(channel!.messages().all())).toEqual(
      Object.keys(orders.events).map((name) => name || 'message'),
    );
    const message = (name: string) => channel!.messages().get(name)!;
    expect(message('status').payload()!.json()).toMatchObject({
      properties: { status: { enum: ['open', 'sent'] } },
    });
    const replies = message('comment').payload()!.property('replies')!;
    expect((replies.items() as SchemaInterface).isCircular()).toBe(true);
    expect(message('label').contentType()).toBe('text/plain');
    expect(message('paid').contentType()).toBe('application/json');
    expect(message('rated').hasPayload()).toBe(false);
    const actions = channel!
      .operations()
      .all()
      .map((operation) => operation.action());
    expect(actions).toEqual(['send', 'receive']);
  });

  it('describes by default all definitions of the process', async () => {
    const own = defineChannel('asyncapi:{a}/{b}', { '': type<string>() });
    const { parsed, errors } = await parse(asyncApi(INFO, undefined, options));
    expect(errors).toEqual([]);
    const addresses = parsed!
      .channels()
      .all()
      .map((channel) => channel.address());
    expect(addresses).toEqual(expect.arrayContaining([orders.pattern, news.pattern, own.pattern]));
  });

  it('keeps definitions apart whose names are alike', async () => {
    const events = { a: type<string>() };
    const alike = [defineChannel('alike:x', events), defineChannel('alike/x', events)];
    const { parsed, errors } = await parse(asyncApi(INFO, alike));
    expect(errors).toEqual([]);
    expect(
      parsed!
        .channels()
        .all()
        .map((channel) => channel.address()),
    ).toEqual(['alike:x', 'alike/x']);
  });

  const broken: Record<string, (document: AsyncApiDocument) => void> = {
    'a parameter that the address does not have': ({ channels }) =>
      Object.assign(channels['news']!, { parameters: { id: {} } }),
    'an operation with another action': ({ operations }) =>
      Object.assign(operations['publish.news']!, { action: 'publish' }),
    'a missing schema': ({ components }) => delete components.schemas['news.status'],
    'a schema of a wrong type': ({ components }) =>
      Object.assign(components.schemas['news.status']!, { type: 'text' }),
  };

  it.each(Object.keys(broken))('is refused by the official parser with %s', async (fault) => {
    const document = described();
    broken[fault]!(document);
    expect((await parse(document)).errors).not.toEqual([]);
  });

  it.each<[string, unknown]>([
    ['a channel', [orders({ id: 7 })]],
    ['a definition that is not in a list', orders],
    ['null', null],
  ])('does not describe %s', (_, definitions) => {
    expect(() => asyncApi(INFO, definitions as never)).toThrow(
      expect.objectContaining({ code: 'SSE_OPTIONS', message: expect.stringContaining('`definitions`') }),
    );
  });
});
