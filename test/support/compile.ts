import { execFileSync } from 'node:child_process';

/** Compiles a folder with a `tsconfig.json`, with its types checked, as a user of the package does. */
export const compile = (dir: string) =>
  execFileSync('node', ['node_modules/typescript/bin/tsc', '-p', dir], { stdio: 'inherit' });
