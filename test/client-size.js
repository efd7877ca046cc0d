/** Fails if the built client for browsers is larger than it may be, or an entry point of it has a module of other folders. */
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';

const MAX_BYTES = 3_072;

const bundle = (name, external = []) =>
  build({
    entryPoints: [`dist/client/${name}.js`],
    external,
    bundle: true,
    minify: true,
    format: 'esm',
    metafile: true,
    write: false,
  });
const [{ outputFiles, metafile }, ...adapters] = await Promise.all([
  bundle('index'),
  bundle('react', ['react']),
  bundle('rxjs', ['rxjs']),
]);
const inputs = [metafile, ...adapters.map((adapter) => adapter.metafile)].flatMap((one) =>
  Object.keys(one.inputs),
);
const outside = inputs.filter((path) => !path.startsWith('dist/client/'));
const bytes = gzipSync(outputFiles[0].contents, { level: 9 }).length;
process.stdout.write(`nestjs-sse-channels/client: ${bytes} of ${MAX_BYTES} bytes, minified and gzipped\n`);
if (outside.length > 0) process.stderr.write(`It has modules of other folders: ${outside.join(', ')}\n`);
process.exitCode = bytes > MAX_BYTES || outside.length > 0 ? 1 : 0;
