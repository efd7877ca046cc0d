import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const COPIED = ['src', 'test', 'docs', 'package.json', 'jest.config.js', 'tsconfig.json'];
const LEFT_OUT = ['node_modules', 'dist'];

/** Tests run without a build, so that a test catches the mutant, not the compiler. */
const WITHOUT_BUILD = {
  guard: 'the build before the tests',
  file: 'test/support/global-setup.ts',
  find: '  build();\n',
  replace: '',
};

/** A copy of the sources and tests from which a guard can be removed. */
export class WorkingCopy {
  #dir = mkdtempSync(join(tmpdir(), 'sse-mutants-'));
  #result = join(this.#dir, 'result.json');
  #tests;

  constructor() {
    const filter = (path) => !LEFT_OUT.includes(basename(path));
    for (const name of COPIED) cpSync(join(ROOT, name), join(this.#dir, name), { recursive: true, filter });
    // Some tests start the built command line, which does not contain the mutant.
    for (const name of ['node_modules', 'dist']) symlinkSync(join(ROOT, name), join(this.#dir, name));
    this.apply(WITHOUT_BUILD);
  }

  /** @returns an error message if the entry does not match the sources or tests */
  check(mutant) {
    const missing = mutant.tests.find(({ file }) => !existsSync(join(this.#dir, file)));
    if (missing) return `${mutant.guard}: there is no ${missing.file}`;
    try {
      this.#mutated(mutant);
      return undefined;
    } catch (error) {
      return error.message;
    }
  }

  /** @returns a function that restores the guard */
  apply(mutant) {
    const path = join(this.#dir, mutant.file);
    const original = readFileSync(path);
    const write = (text) => {
      writeFileSync(path, text);
      if (path.endsWith('.lua')) execFileSync(process.execPath, [join(dirname(path), 'scripts.generate.js')]);
    };
    write(this.#mutated(mutant));
    return () => write(original);
  }

  /** Runs tests until one fails. @returns its name, and the tests that passed before */
  async run({ file, name }, limitMs) {
    rmSync(this.#result, { force: true });
    const args = ['node_modules/jest/bin/jest.js', '--runTestsByPath', file, '--runInBand'];
    args.push('--cacheDirectory', '.jest', '--reporters', './test/mutants/reporter.js');
    if (name !== undefined) args.push('--testNamePattern', escape(name));
    // Without a guard, a test often waits for an event that never arrives.
    const patience = { TEST_PATIENCE_MS: '10000' };
    const env = { ...process.env, ...patience, TMPDIR: this.#dir, MUTANTS_RESULT: this.#result };
    // A separate process group contains every server that a test starts and may not stop.
    this.#tests = spawn(process.execPath, args, { cwd: this.#dir, env, detached: true, stdio: 'ignore' });
    const exited = once(this.#tests, 'exit');
    const timer = setTimeout(() => this.#kill(), limitMs);
    const [, signal] = await exited;
    clearTimeout(timer);
    this.#kill();
    if (signal) return { failed: `${name ?? file} (hangs)`, passed: [] };
    if (!existsSync(this.#result)) return { failed: `${name ?? file} (the process ends)`, passed: [] };
    const { failed, passed, broken } = JSON.parse(readFileSync(this.#result, 'utf8'));
    return { failed: broken ? `${name ?? file} (does not run: ${broken.split('\n')[0]})` : failed, passed };
  }

  remove() {
    this.#kill();
    rmSync(this.#dir, { recursive: true, force: true, maxRetries: 5 });
  }

  #mutated({ guard, file, find, replace }) {
    const parts = readFileSync(join(this.#dir, file), 'utf8').split(find);
    if (parts.length !== 2)
      throw new Error(`${guard}: expected once in ${file}, found ${parts.length - 1} times:\n${find}`);
    return parts.join(replace);
  }

  #kill() {
    try {
      process.kill(-this.#tests.pid, 'SIGKILL');
    } catch {
      // The processes have ended, or none was started.
    }
  }
}

const escape = (text) => text.replaceAll(/[\\^$.*+?()[\]{}|]/g, '\\$&');
