/**
 * Runs the HTTP, resume and package suites on other versions of Node, the newest of each major that is named.
 *
 *   npm run test:node -- 22 24 26
 *
 * The binaries are packages of the registry. It prints a table, and exits non-zero where a suite fails.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { performance } from 'node:perf_hooks';

const RESUME = ['streams', 'resume', 'resume.model', 'subscriber', 'redis'];
const HTTP = [
  'access',
  'cli',
  'collect',
  'drain',
  'interceptors',
  'limits',
  'nest',
  'origins',
  'responses',
  'restart',
  'sample',
  'shutdown',
  'slips',
  'socket',
  'testing',
  'worker',
  'writes',
];
/** Arguments of Jest, by suite. */
const SUITES = {
  HTTP: [`src/http/|test/(${HTTP.join('|')})(\\.\\w+)?\\.spec`],
  resume: [`src/channel/|test/(${RESUME.join('|')})(\\.\\w+)?\\.spec`],
  package: ['--testMatch', '**/test/pack/*.pack.ts'],
};

const say = (text) => process.stdout.write(`${text}\n`);

const majors = process.argv.slice(2);
if (majors.length === 0 || majors.some((major) => !/^\d+$/.test(major))) {
  say('Expected major versions of Node: npm run test:node -- 22 24 26');
  process.exit(2);
}
const platform = `${process.platform}-${process.arch}`;
if (!['linux-x64', 'linux-arm64'].includes(platform)) {
  say(`The registry has binaries of Node as packages for linux-x64 and linux-arm64, not for ${platform}`);
  process.exit(2);
}

const dir = mkdtempSync(join(tmpdir(), 'sse-node-'));
process.on('exit', () => rmSync(dir, { recursive: true, force: true }));
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1));

/** @returns the path of the newest binary of a major version */
function install(major) {
  const name = `node-${platform}`;
  const prefix = join(dir, major);
  const options = ['--prefix', prefix, '--no-save', '--no-audit', '--no-fund'];
  execFileSync('npm', ['install', ...options, `${name}@${major}`], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  return join(prefix, 'node_modules', name, 'bin/node');
}

function run(node, suite) {
  const start = performance.now();
  const output = join(dir, 'result.json');
  rmSync(output, { force: true });
  const args = ['node_modules/jest/bin/jest.js', ...SUITES[suite], '--json', '--outputFile', output];
  // First in the path: the processes that tests start run on this version, too.
  const env = { ...process.env, PATH: `${dirname(node)}${delimiter}${process.env.PATH}` };
  const { status } = spawnSync(node, args, { env, stdio: ['ignore', 'ignore', 'inherit'] });
  const { numPassedTests = 0, numTotalTests = 0 } = existsSync(output)
    ? JSON.parse(readFileSync(output, 'utf8'))
    : {};
  const seconds = Math.round((performance.now() - start) / 1_000);
  return {
    passed: numPassedTests,
    total: numTotalTests,
    seconds,
    isFine: status === 0 && numPassedTests > 0,
  };
}

const results = [];
for (const major of majors) {
  const node = install(major);
  const version = execFileSync(node, ['--version'], { encoding: 'utf8' }).trim();
  for (const suite of Object.keys(SUITES)) {
    say(`Node ${version}: ${suite}`);
    results.push({ version, suite, ...run(node, suite) });
  }
}

const rows = results.map(({ version, suite, passed, total, seconds, isFine }) =>
  [version, suite, `${passed} of ${total}`, `${seconds} s`, isFine ? 'passed' : 'FAILED'].join(' | '),
);
say(['', 'Node | Suite | Tests passed | Time | Outcome', '--- | --- | --- | --- | ---', ...rows].join('\n'));
process.exitCode = results.every(({ isFine }) => isFine) ? 0 : 1;
