/** A bar for each server, as long as its median, with a line for its range. Legible on a light and a dark page. */
import { median } from '../redis.js';
import { PROJECT, RIVALS } from './rivals.js';

const [WIDTH, LABELS, VALUES, ROW, BAR, TOP] = [760, 240, 70, 24, 14, 44];

const STYLE = `
  text { font: 12px system-ui, sans-serif; fill: #57606a }
  .title { font-size: 14px; font-weight: 600 }
  .bar { fill: #8c959f }
  .project { fill: #2f81f7 }
  .range { stroke: #57606a; stroke-width: 1.5 }
  @media (prefers-color-scheme: dark) {
    text { fill: #c9d1d9 }
    .bar { fill: #6e7681 }
    .range { stroke: #c9d1d9 }
  }`;

const escaped = (text) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');

export function chartOf(title, { key, title: unit, digits }, runs) {
  const bars = Object.entries(runs)
    .map(([name, measured]) => [name, measured.map((run) => run[key]).filter(Number.isFinite)])
    .filter(([, values]) => values.length > 0)
    .map(([name, values]) => ({ name, ...median(values) }));
  const longest = Math.max(...bars.map(({ max }) => max));
  const x = (value) => (LABELS + (Math.max(value, 0) / longest) * (WIDTH - LABELS - VALUES)).toFixed(1);
  const rows = bars.map(({ name, median: middle, min, max }, index) => {
    const centre = TOP + index * ROW + ROW / 2;
    const label = escaped(RIVALS[name].title.replaceAll('`', ''));
    const kind = name.split('-fastify')[0] === PROJECT.split('-fastify')[0] ? 'bar project' : 'bar';
    return `  <text x="${LABELS - 8}" y="${centre + 4}" text-anchor="end">${label}</text>
  <rect class="${kind}" x="${LABELS}" y="${centre - BAR / 2}" width="${(x(middle) - LABELS).toFixed(1)}" height="${BAR}" rx="2"/>
  <line class="range" x1="${x(min)}" x2="${x(max)}" y1="${centre}" y2="${centre}"/>
  <text x="${Number(x(max)) + 8}" y="${centre + 4}">${middle.toFixed(digits)}</text>`;
  });
  const height = TOP + bars.length * ROW + 10;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${escaped(title)}">
  <style>${STYLE}
  </style>
  <text class="title" x="8" y="18">${escaped(title)}</text>
  <text x="8" y="36">${escaped(unit)}: less is better</text>
${rows.join('\n')}
</svg>
`;
}
