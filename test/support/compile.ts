import { execFileSync } from 'node:child_process';

/** Type-checks and compiles a folder by its `tsconfig.json`. */
export const compile = (dir: string) =>
  execFileSync('node', ['node_modules/typescript/bin/tsc', '-p', dir], { stdio: 'inherit' });
