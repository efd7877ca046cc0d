/** Bundles an application without externals, unminified as Nest's own webpack configuration does: `node webpack.js <folder that has webpack> <entry> <file>`. */
import { createRequire } from 'node:module';
import { basename, dirname, join, resolve } from 'node:path';

const [tools, entry, file] = process.argv.slice(2);
const webpack = createRequire(join(resolve(tools), 'package.json'))('webpack');

const compiler = webpack({
  mode: 'none',
  target: 'node',
  entry: resolve(entry),
  output: { path: dirname(resolve(file)), filename: basename(file) },
  // Nest tries to load these optional packages.
  plugins: [
    new webpack.IgnorePlugin({
      resourceRegExp: /^(@nestjs\/(microservices|websockets)|class-(transformer|validator))(\/|$)/,
    }),
  ],
});
compiler.run((error, stats) => {
  if (error) throw error;
  const { errors, warnings } = stats.toJson({ all: false, errors: true, warnings: true });
  // Nest and Express load some modules by a computed name, of which webpack warns.
  const own = warnings.filter(({ moduleName }) => moduleName?.includes('nestjs-sse-channels'));
  for (const { message } of [...errors, ...own]) process.stderr.write(`${message}\n`);
  process.exitCode = errors.length + own.length;
  compiler.close(() => undefined);
});
