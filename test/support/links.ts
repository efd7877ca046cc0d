import { readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';

/** The anchors of the headings, as GitHub names them. */
const anchorsOf = (markdown: string) =>
  [...markdown.matchAll(/^#+ (.+)$/gm)].map(([, heading]) =>
    heading!
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );

/** The links of a page to missing files or headings. Web addresses are not checked. */
export function brokenLinks(page: string, exists: (path: string) => boolean): string[] {
  const text = readFileSync(page, 'utf8').replaceAll(/```[^]*?```/g, '');
  const links = [...text.matchAll(/\]\(([^)\s]+)\)|(?:src|href)="([^"]+)"|^\[[^\]]+\]: (\S+)$/gm)]
    .map(([, inline, html, reference]) => (inline ?? html ?? reference)!)
    .filter((link) => !/^[a-z]+:/.test(link));
  return links.filter((link) => {
    const [path, anchor] = link.split('#') as [string, string?];
    const target = path ? normalize(join(dirname(page), path)) : page;
    return !exists(target) || (anchor && !anchorsOf(readFileSync(target, 'utf8')).includes(anchor));
  });
}
