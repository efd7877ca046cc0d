import { describe, expect, it } from '@jest/globals';
import type { OpenAPIObject } from '@nestjs/swagger';
import { createConfig, lintFromString } from '@redocly/openapi-core';
import { Validator } from '@seriousme/openapi-schema-validator';
import { ApiSse, describeEvents } from 'nestjs-sse-channels/swagger';
import { platforms } from './support/app.js';
import { documentOf, news, rawDocument, startDescribed } from './support/described-app.js';
import { mediaOf, operation, schemasOf, typeOf, VERSIONS } from './support/described-events.js';

const OWN_TYPES = ['sse.open', 'sse.position', 'sse.reset'];
const ORDER_TYPES = ['status', 'paid', 'shipped', 'rated', 'comment', 'label', 'total', 'hint', undefined];

/** By the official schema of the version. */
const errorsOf = async (document: object) => {
  const validator = new Validator();
  const { valid, errors } = await validator.validate(structuredClone(document) as Record<string, unknown>);
  return valid ? [] : (errors ?? ['invalid']);
};

/** By a linter that also checks keywords of schemas, references and parameters. */
const problemsOf = async (document: object) => {
  const rules = {
    struct: 'error',
    'no-unresolved-refs': 'error',
    'path-parameters-defined': 'error',
  } as const;
  const config = await createConfig({ rules });
  const problems = await lintFromString({ source: JSON.stringify(document), config });
  return problems.map(({ message, location: [place] }) => `${message} ${place!.pointer}`);
};

const typesOf = (document: OpenAPIObject, path: string) => schemasOf(document, path).map(typeOf);

describe.each(platforms)('A document with typed channels on %s', (_, platform) => {
  it.each(VERSIONS)('is valid in OpenAPI %s, and has a schema for each type of events', async (version) => {
    const { app } = await startDescribed(platform);
    const document = documentOf(app, version);
    expect(await errorsOf(document)).toEqual([]);
    expect(await problemsOf(document)).toEqual([]);
    expect(document.openapi).toBe(version);
    expect(JSON.stringify(document)).not.toContain('x-sse-events');
    for (const path of ['/orders/{id}/events', '/sse/{id}']) {
      expect(typesOf(document, path)).toEqual([...ORDER_TYPES, ...OWN_TYPES]);
    }
    expect(typesOf(document, '/news/{id}')).toEqual([...ORDER_TYPES, ...OWN_TYPES]);
    expect(typesOf(document, '/jobs/{id}')).toEqual(['step', ...OWN_TYPES, 'sse.end']);
    const kinds = version === '3.2.0' ? ['itemSchema'] : ['schema'];
    expect(Object.keys(mediaOf(document, '/orders/{id}/events'))).toEqual(kinds);
    expect(Object.keys(mediaOf(document, '/example'))).toEqual(['example', ...kinds]);
    expect(mediaOf(document, '/own')).toEqual({ schema: { type: 'string', description: 'Mine' } });
  });

  it('lists parameters and statuses where they apply', async () => {
    const { app } = await startDescribed(platform);
    const document = documentOf(app, '3.2.0');
    const described = (path: string) => {
      const { parameters = [], responses } = operation(document, path);
      const names = (parameters as { in: string; name: string }[]).map((each) => `${each.in} ${each.name}`);
      return [names.toSorted(), Object.keys(responses)];
    };
    expect(operation(document, '/news/{id}').parameters).toContainEqual(
      expect.objectContaining({ name: 'id', schema: { type: 'number' } }),
    );
    const always = ['header Last-Event-ID', 'path id', 'query lastEventId'];
    expect(described('/sse/{id}')).toEqual([always, ['200', '400', '401', '403']]);
    expect(described('/news/{id}')).toEqual([always, ['200', '400']]);
    expect(described('/orders/{id}/events')).toEqual(described('/sse/{id}'));
    expect(described('/jobs/{id}')).toEqual([
      [...always, 'query ticket'],
      ['200', '204', '400', '401'],
    ]);
    expect(described('/example')).toEqual([[always[0], always[2]], ['200']]);
  });
});

describe('The validators', () => {
  const broken: Record<string, (document: OpenAPIObject) => void> = {
    'an unknown field in a media type': (document) =>
      Object.assign(mediaOf(document, '/example'), { itemSchemas: {} }),
    'a parameter without a name': (document) =>
      delete (operation(document, '/example').parameters![0] as { name?: string }).name,
  };

  it.each(VERSIONS.flatMap((version) => Object.keys(broken).map((fault) => [version, fault] as const)))(
    'refuse in %s %s',
    async (version, fault) => {
      const { app } = await startDescribed(platforms[0][1]);
      const document = documentOf(app, version);
      broken[fault]!(document);
      expect(await errorsOf(document)).not.toEqual([]);
    },
  );

  it('refuse in 3.0 and 3.1 the field of 3.2, and in 3.0 the keywords of 3.1', async () => {
    const { app } = await startDescribed(platforms[0][1]);
    const document = documentOf(app, '3.2.0');
    for (const openapi of ['3.0.3', '3.1.1']) {
      expect(await errorsOf({ ...document, openapi })).not.toEqual([]);
      expect(await problemsOf({ ...document, openapi })).toContainEqual(
        expect.stringContaining('itemSchema'),
      );
    }
    const newer = { ...documentOf(app, '3.1.1'), openapi: '3.0.3' };
    expect(await errorsOf(newer)).not.toEqual([]);
    expect(await problemsOf(newer)).toContainEqual(expect.stringContaining('contentSchema'));
  });

  it.each(VERSIONS)('refuse in %s a missing schema', async (version) => {
    const { app } = await startDescribed(platforms[0][1]);
    const document = documentOf(app, version);
    delete document.components!.schemas!['order.id.label'];
    expect(await problemsOf(document)).toContainEqual(expect.stringContaining('$ref'));
  });
});

describe('describeEvents()', () => {
  it('leaves the document and the metadata of the decorators as they are', async () => {
    const { app } = await startDescribed(platforms[0][1]);
    const given = rawDocument(app, '3.2.0');
    const before = JSON.stringify(given);
    const once = documentOf(app, '3.2.0');
    documentOf(app, '3.0.3');
    expect(JSON.stringify(given)).toBe(before);
    expect(documentOf(app, '3.2.0')).toEqual(once);
    expect(describeEvents(once)).toEqual(once);
    expect(await errorsOf(given)).toEqual([]);
  });

  it('names a schema that it cannot convert, by channel and type', async () => {
    const { app } = await startDescribed(platforms[0][1]);
    const document = rawDocument(app, '3.1.0');
    const toJsonSchema = () => {
      throw new Error('No JSON Schema for dates');
    };
    expect(() => describeEvents(document, { toJsonSchema })).toThrow(
      'Expected the schema of `paid` in `order:{id}` to have a JSON Schema: No JSON Schema for dates',
    );
  });

  it('describes data as any where nothing can convert its schema', async () => {
    const { app } = await startDescribed(platforms[0][1]);
    const document = describeEvents(rawDocument(app, '3.2.0'));
    const data = (type: string) =>
      schemasOf(document, '/sse/{id}').find((schema) => typeOf(schema) === type)!.properties.data;
    expect(data('paid')).toEqual({ type: 'string', description: expect.any(String) });
    expect(data('rated')).toEqual(data('paid'));
    const names = Object.keys(document.components!.schemas!);
    expect(names).toEqual(expect.arrayContaining(['order.id.status', 'order.id.message.Tick', 'sse.reset']));
    expect(names).not.toContain('order.id.paid');
  });

  it.each(['2.0', '3.3.0', undefined])('refuses a document of version %s', (openapi) => {
    expect(() => describeEvents({ openapi } as { openapi: string })).toThrow(
      'Expected a document of OpenAPI',
    );
  });

  it('refuses a document of another process, whose definitions it does not have', () => {
    const content = { 'text/event-stream': { 'x-sse-events': { channels: ['elsewhere'] } } };
    const document = { openapi: '3.2.0', paths: { '/': { get: { responses: { 200: { content } } } } } };
    expect(() => describeEvents(document)).toThrow('Expected a definition of the channels "elsewhere"');
  });
});

describe('@ApiSse()', () => {
  it('refuses anything but definitions, and unknown options', () => {
    expect(() => ApiSse({ pattern: 'news' } as never)).toThrow(
      'expected `definitions` to be of defineChannel()',
    );
    expect(() => ApiSse([])).toThrow('expected `definitions`');
    expect(() => ApiSse(news, { rule: [] } as never)).toThrow('Expected no key `rule` in `options`');
  });
});
