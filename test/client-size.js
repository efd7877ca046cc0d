/** Fails if the built client for browsers is larger than it may be, or needs another package. */
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';

const MAX_BYTES = 3_072;

const { outputFiles, metafile } = await build({
  entryPoints: ['dist/client/index.js'],
  bundle: true,
  minify: true,
  format: 'esm',
  metafile: true,
  write: false,
});
const outside = Object.keys(metafile.inputs).filter((path) => !path.startsWith('dist/client/'));
const bytes = gzipSync(outputFiles[0].contents, { level: 9 }).length;
process.stdout.write(`nestjs-sse-channels/client: ${bytes} of ${MAX_BYTES} bytes, minified and gzipped\n`);
if (outside.length > 0) process.stderr.write(`It has modules of other folders: ${outside.join(', ')}\n`);
process.exitCode = bytes > MAX_BYTES || outside.length > 0 ? 1 : 0;
