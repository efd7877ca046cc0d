/** Fails if the built client for browsers is larger than it may be, or an entry point of it has a module of other folders. */
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';

/** In bytes, minified and gzipped; that of `tabs` on top of the client. */
const MAX_BYTES = { index: 3_072, tabs: 1_024 };

async function bundle(...names) {
  const { outputFiles, metafile } = await build({
    stdin: {
      contents: names.map((name) => `export * from './${name}.js';`).join(''),
      resolveDir: 'dist/client',
    },
    external: ['react', 'rxjs'],
    bundle: true,
    minify: true,
    format: 'esm',
    metafile: true,
    write: false,
  });
  const inputs = Object.keys(metafile.inputs).filter((path) => path !== '<stdin>');
  const outside = inputs.filter((path) => !path.startsWith('dist/client/'));
  return { outside, bytes: gzipSync(outputFiles[0].contents, { level: 9 }).length };
}

const client = await bundle('index');
const withTabs = await bundle('index', 'tabs');
const sizes = { index: client.bytes, tabs: withTabs.bytes - client.bytes };
for (const [name, bytes] of Object.entries(sizes)) {
  process.stdout.write(`client/${name}: ${bytes} of ${MAX_BYTES[name]} bytes, minified and gzipped\n`);
  if (bytes > MAX_BYTES[name]) process.exitCode = 1;
}
for (const { outside } of [withTabs, await bundle('react'), await bundle('rxjs')]) {
  if (outside.length === 0) continue;
  process.stderr.write(`The client has modules of other folders: ${outside.join(', ')}\n`);
  process.exitCode = 1;
}
