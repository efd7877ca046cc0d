/** What clients add to the bundle of a page. */
import { existsSync, readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import { versionOf } from './report.js';

const NAME = 'nestjs-sse-channels';
/** Packages that an application with such a client has anyway. */
const EXTERNAL = ['react', 'rxjs', 'ai'];

const OTHERS = [
  { pkg: '@microsoft/fetch-event-source' },
  { pkg: 'eventsource-client' },
  { pkg: 'eventsource', note: 'a polyfill of `EventSource`' },
  { pkg: 'eventsource-parser', note: 'a parser only' },
  { pkg: 'reconnecting-eventsource', code: `export { default } from 'reconnecting-eventsource';` },
  { pkg: '@adonisjs/transmit-client', note: 'for servers with Transmit' },
  {
    pkg: 'laravel-echo',
    code: `export { default } from 'laravel-echo'; export { default as Pusher } from 'pusher-js';`,
    note: 'with pusher-js, which its broadcasters Reverb and Pusher need; WebSockets',
  },
];

async function bytesOf(contents) {
  const { outputFiles } = await build({
    stdin: { contents, resolveDir: process.cwd() },
    bundle: true,
    minify: true,
    format: 'esm',
    platform: 'browser',
    external: EXTERNAL,
    write: false,
  });
  return gzipSync(outputFiles[0].contents, { level: 9 }).length;
}

/** The other entry points of the client that are built, as `client/<name>`. */
function entriesOfClient() {
  const { exports } = JSON.parse(readFileSync('package.json', 'utf8'));
  return Object.entries(exports)
    .filter(([path, { default: file }]) => path.startsWith('./client/') && existsSync(file))
    .map(([path, { default: file }]) => ({ name: path.slice(2), file }));
}

const inWords = (bytes) => bytes.toLocaleString('en-US');

/** The rows of a table: package, version, bytes, note. */
export async function sizes() {
  const version = versionOf(NAME);
  const client = `export * from './dist/client/index.js';`;
  const alone = await bytesOf(client);
  const rows = [[`\`${NAME}/client\``, version, inWords(alone), '']];
  for (const { name, file } of entriesOfClient()) {
    const more = (await bytesOf(`${client} export * from '${file}';`)) - alone;
    rows.push([`\`${NAME}/${name}\``, version, `+${inWords(more)}`, 'beside the client']);
  }
  for (const { pkg, code = `export * from '${pkg}';`, note = '' } of OTHERS) {
    rows.push([`\`${pkg}\``, versionOf(pkg), inWords(await bytesOf(code)), note]);
  }
  return rows;
}
