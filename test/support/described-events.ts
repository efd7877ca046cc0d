import type { OpenAPIObject } from '@nestjs/swagger';

export const VERSIONS = ['3.0.3', '3.1.1', '3.2.0'] as const;

/** The schema of an event in a document. */
export interface EventSchema {
  required: string[];
  properties: { event?: { const?: string; enum?: string[] }; data: Record<string, unknown> };
}

interface Media {
  schema?: { items: { oneOf: EventSchema[] } };
  itemSchema?: { oneOf: EventSchema[] };
}

export const operation = ({ paths }: OpenAPIObject, path: string) => (paths[path]!.get ?? paths[path]!.post)!;

export function mediaOf(document: OpenAPIObject, path: string): Media {
  const response = operation(document, path).responses['200'] as { content: Record<string, Media> };
  return response.content['text/event-stream']!;
}

/** The schemas of the events, which `itemSchema` or the items of `schema` combine. */
export function schemasOf(document: OpenAPIObject, path: string): EventSchema[] {
  const { schema, itemSchema } = mediaOf(document, path);
  return (itemSchema ?? schema!.items).oneOf;
}

export const typeOf = ({ properties: { event } }: EventSchema): string | undefined =>
  event?.const ?? event?.enum?.[0];
