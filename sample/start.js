/**
 * Builds the package and the sample, and starts the sample in this very process, so that it gets the signals.
 *
 * Several may start at once from one checkout: each builds into a folder of its own and then renames the files
 * into place, so that none ever loads a file that another is writing.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

function build(project, outDir) {
  const fresh = join(root, `${outDir}.${process.pid}`);
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  const { status } = spawnSync(process.execPath, [tsc, '-p', project, '--outDir', fresh], {
    cwd: root,
    stdio: 'inherit',
  });
  try {
    if (status !== 0) process.exit(1);
    for (const entry of readdirSync(fresh, { recursive: true, withFileTypes: true })) {
      if (entry.isDirectory()) continue;
      const file = join(entry.parentPath, entry.name);
      const target = file.replace(fresh, join(root, outDir));
      mkdirSync(dirname(target), { recursive: true });
      renameSync(file, target);
    }
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
}

build('tsconfig.build.json', 'dist');
build('sample/tsconfig.json', 'sample/dist');
await import('./dist/main.js');
