import { build, stop } from 'esbuild';

/** Modules of the client as the global `client` of a page: from the sources, so that a test notices a change of them. */
export async function bundleClient(...names: readonly string[]): Promise<string> {
  const { outputFiles } = await build({
    stdin: {
      contents: names.map((name) => `export * from './${name}.js';`).join(''),
      loader: 'ts',
      resolveDir: 'src/client',
    },
    bundle: true,
    format: 'iife',
    globalName: 'client',
    write: false,
  });
  await stop();
  return outputFiles[0]!.text;
}
