import { describe, expect, it } from '@jest/globals';
import type { OpenAPIObject } from '@nestjs/swagger';
import { Ajv2020 } from 'ajv/dist/2020.js';
import AjvDraft04 from 'ajv-draft-04';
import { SseService } from 'nestjs-sse-channels';
import { platforms } from './support/app.js';
import { connect } from './support/client.js';
import { documentOf, news, orders, startDescribed } from './support/described-app.js';
import { type EventSchema, mediaOf, schemasOf, typeOf, VERSIONS } from './support/described-events.js';

interface Parsed {
  id?: string;
  event?: string;
  data: string;
}

/** Validates by the schemas of a document, in the dialect of its version. */
function validation(document: OpenAPIObject) {
  const is30 = document.openapi.startsWith('3.0');
  const Ajv = is30 ? AjvDraft04.default : Ajv2020;
  const ajv = new Ajv({ strict: false, validateFormats: false });
  ajv.addSchema(document, 'document', undefined, false);
  const validate = (pointer: string, value: unknown) => ajv.validate({ $ref: `document${pointer}` }, value);
  return { ajv, validate };
}

const pointerOf = (document: OpenAPIObject, path: string) =>
  `#/paths/${encodeURIComponent(path.replaceAll('/', '~1'))}/get/responses/200/content/text~1event-stream/${
    mediaOf(document, path).itemSchema ? 'itemSchema' : 'schema'
  }`;

/** The reference to the schema of the JSON in the data. */
function contentOf({ properties: { data } }: EventSchema): string | undefined {
  const content = (data['contentSchema'] ?? data['x-content-schema']) as { $ref: string } | undefined;
  return content?.$ref;
}

const EVENTS = [
  ['status', { status: 'open', note: 'n' }],
  ['paid', { amount: 5, by: null }],
  ['shipped', { to: 'home', at: [1, 2] }],
  ['rated', { stars: 5 }],
  ['rated', 'a string'],
  ['comment', { text: null, size: [1, 'a'], replies: [{ text: 't', size: [2, 'b'], replies: [] }] }],
  ['label', 'no "JSON"'],
  ['total', 12],
  ['hint', 'no JSON'],
  ['hint', { text: 'JSON' }],
  ['', { tick: 1 }],
] as const;

describe.each(platforms)('The schemas of a document on %s', (_, platform) => {
  const deliver = async () => {
    const { app, url } = await startDescribed(platform);
    const client = await connect(`${url}/news/7`);
    const sse = app.get(SseService);
    for (const [type, data] of EVENTS) await sse.publish(orders({ id: 7 }), type, data as never);
    await sse.publish(news(), 'status', { headline: 'h' });
    await sse.publish(news(), 'message', 'a string');
    const reset = await connect(`${url}/news/7`, { 'last-event-id': 'unknown' });
    const events = [...(await client.take(EVENTS.length + 3)), ...(await reset.take(2))];
    return { app, events: JSON.parse(JSON.stringify(events)) as Parsed[] };
  };

  it.each(VERSIONS)('accept each delivered event, in OpenAPI %s', async (version) => {
    const { app, events } = await deliver();
    const document = documentOf(app, version);
    const { ajv, validate } = validation(document);
    const schemas = [...schemasOf(document, '/news/{id}'), ...Object.values(document.components!.schemas!)];
    for (const schema of schemas) expect(ajv.validateSchema(schema as never)).toBe(true);

    const types = new Set(events.map(({ event }) => event));
    const known = schemasOf(document, '/news/{id}').map(typeOf);
    expect([...types].toSorted()).toEqual(known.filter((type) => type !== 'sse.position').toSorted());
    const isList = version !== '3.2.0';
    const pointer = pointerOf(document, '/news/{id}');
    for (const event of events) {
      expect([event, validate(pointer, isList ? [event] : event)]).toEqual([event, true]);
      const schema = schemasOf(document, '/news/{id}').find((each) => typeOf(each) === event.event)!;
      const content = contentOf(schema);
      if (content) expect([event, validate(content, JSON.parse(event.data))]).toEqual([event, true]);
    }
    expect(events.filter(({ event }) => event === 'sse.reset')).not.toEqual([]);
  });

  it.each(VERSIONS)('refuse other events, in OpenAPI %s', async (version) => {
    const { app } = await startDescribed(platform);
    const document = documentOf(app, version);
    const { validate } = validation(document);
    const pointer = pointerOf(document, '/orders/{id}/events');
    const wrong: object[] = [
      { event: 'unknown', data: '{}' },
      { event: 'paid' },
      { event: 'paid', data: { amount: 5 } },
      { event: 'label', data: '' },
      { event: 'paid', data: '{}', retry: -1 },
      { event: 'paid', data: '{}', id: 7 },
    ];
    const isList = version !== '3.2.0';
    for (const event of wrong) {
      expect([event, validate(pointer, isList ? [event] : event)]).toEqual([event, false]);
    }
    const data = {
      'order.id.paid': [{ amount: '5', by: null }, { amount: 5 }],
      'order.id.shipped': [
        { to: 'home', at: [1] },
        { to: 'away', at: [1, 2] },
      ],
      'order.id.comment': [
        { text: 7, size: [1, 'a'], replies: [] },
        { text: '', size: [1, 'a'], replies: [{}] },
      ],
      'order.id.message': [{ tick: 1.5 }],
      'sse.reset': [{ channel: 'news', reason: 'other' }],
    };
    for (const [name, values] of Object.entries(data)) {
      for (const value of values) {
        const isValid = validate(`#/components/schemas/${name}`, value);
        expect([name, value, isValid]).toEqual([name, value, false]);
      }
    }
  });
});
