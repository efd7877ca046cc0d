import { readFileSync } from 'node:fs';
import { Controller, Query } from '@nestjs/common';
import { SseChannel, SseModule, SseService } from 'nestjs-sse-channels';
import { type Platform, startApp } from './app.js';

export const BAD_CHANNELS = [
  '',
  'a'.repeat(201),
  'a b',
  'a\nb',
  '*',
  '{}',
  '😀',
  'a\0',
  '#',
  'a,b',
  '?',
  '"',
];

@Controller()
class InputController {
  @SseChannel('channel')
  channel(@Query('channel') channel: string | string[] = 'sse') {
    return channel;
  }

  @SseChannel('none')
  none(@Query('what') what: 'array' | 'undefined' | 'null' | 'key' | 'filter') {
    const key = { channel: 'a', filters: () => false };
    const filter = { channel: 'a', filter: undefined };
    return { array: [], undefined: undefined, null: null, key, filter }[what] as unknown as string;
  }
}

export async function startInput(platform: Platform) {
  const { app, url } = await startApp(platform, {
    imports: [SseModule.forRoot()],
    controllers: [InputController],
  });
  return { url, sse: app.get(SseService) };
}

/** The sections of docs/input.md whose rows have tests. */
const SECTIONS = ['Publishing', 'Lists', 'Streams', 'Subscribing', 'Typed channels', 'Tickets'] as const;

const rowsOf = (document: string) =>
  [...document.matchAll(/^\| (.+?) \| .+ \|$/gm)]
    .map(([, input]) => input!.trim())
    .filter((input) => !/^(Input|-+)$/.test(input));

/** The inputs in the table of a section of docs/input.md. @throws if another section has inputs, which no test would check */
export function documentedInputs(section: (typeof SECTIONS)[number]): string[] {
  const parts = readFileSync('docs/input.md', 'utf8').split(/^## /m);
  const untested = parts.filter((part) => !SECTIONS.some((name) => part.startsWith(name)));
  const rows = untested.flatMap(rowsOf);
  if (rows.length > 0)
    throw new Error(`docs/input.md has inputs outside of the tested sections: ${rows.join()}`);
  return parts.filter((part) => part.startsWith(section)).flatMap(rowsOf);
}
