import { existsSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { Cli, ON_A_TERMINAL, PROGRAM } from './support/cli.js';
import { startRedis } from './support/redis.js';
import { streamCommands } from './support/stream-commands.js';
import { until } from './support/until.js';

/** Waits for signals. It prints a line when it can take them. */
const WAITING = 'setInterval(() => {}, 1_000); console.log("waits");';
const EXITS_WITH_0 = `process.on('SIGTERM', () => { console.log('cleans up'); process.exitCode = 0; clearInterval(timer); });
  const timer = setInterval(() => {}, 1_000); console.log("waits");`;
const IGNORES = `process.on('SIGTERM', () => console.log('ignores')); ${WAITING}`;

/** How a program and its stream end. */
describe('The program of `sse stream run`', () => {
  const { env, file, run, attach, produce, node, shell } = streamCommands();
  const endOf = async (id: string) => (await attach(id)).data.at(-1);
  /** Runs a program until its first line is in the stream. */
  const start = async (args: string, more: Record<string, string> = {}) => {
    const producer = await produce(`${args.includes('--tee') ? '' : '--tee '}${args}`, more);
    await until(() => producer.stdout.includes('\n'));
    return producer;
  };

  it.each<[what: string, script: string, code: number, reason: string]>([
    ['exits with 3', 'echo 1; exit 3', 3, 'exit 3'],
    ['is killed', 'echo 1; kill -KILL $$', 137, 'signal SIGKILL'],
    ['is not found by its shell', '/nowhere/x', 127, 'exit 127'],
  ])('ends the stream as error if it %s', async (_, script, code, reason) => {
    const producer = await produce(`a -- ${shell(script)}`);
    expect(await producer.end()).toBe(code);
    expect(await endOf('a')).toEqual({ status: 'error', reason });
  });

  it.each([
    ['does not exist', '/nowhere/x', 127, 'ENOENT'],
    ['cannot be executed', '/', 126, 'EACCES'],
  ])('ends the stream as error if it %s', async (_, command, code, error) => {
    const result = await run(`sse stream run a -- ${command}`);
    expect(result).toEqual({ code, stdout: '', stderr: `Cannot start ${command}: ${error}\n` });
    expect(await attach('a')).toMatchObject({ data: [{ status: 'error', reason: `exit ${code}` }] });
  });

  it.each<[what: string, script: string, code: number]>([
    ['by SIGTERM', WAITING, 143],
    ['by SIGTERM, and never exits with 0', EXITS_WITH_0, 1],
    ['by SIGKILL if it ignores SIGTERM', IGNORES, 137],
  ])('is ended by `stop` %s', async (_, script, code) => {
    const producer = await start(`a -- ${node(script)}`);
    const stopped = await run('sse stream stop a --reason enough');
    expect(stopped).toEqual({ code: 0, stdout: 'stopped\n', stderr: '' });
    expect(await producer.end()).toBe(code);
    expect(producer.stderr).toBe('Stream "a" is over: aborted, enough\n');
    const { data } = await attach('a');
    expect([data[0], data.at(-1)]).toEqual(['waits', { status: 'aborted', reason: 'enough' }]);
    expect(await run('sse stream stop a')).toEqual({ code: 0, stdout: 'ended\n', stderr: '' });
  });

  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('gets %s, and the stream ends as error', async (signal, code) => {
    const producer = await start(`a -- ${node(WAITING)}`);
    producer.process.kill(signal);
    expect([await producer.end(), producer.stderr]).toEqual([code, '']);
    expect((await attach('a')).data).toEqual(['waits', { status: 'error', reason: `signal ${signal}` }]);
  });

  it('can write to the stream after a signal, which does not end as done', async () => {
    const producer = await start(`a -- ${node(EXITS_WITH_0)}`);
    producer.process.kill('SIGTERM');
    expect(await producer.end()).toBe(1);
    const end = { status: 'error', reason: 'signal SIGTERM' };
    expect((await attach('a')).data).toEqual(['waits', 'cleans up', end]);
  });

  it('gets Ctrl+C on a terminal once', async () => {
    const script = `process.on('SIGINT', () => console.log('interrupted')); ${WAITING}
      process.stdin.once('data', () => process.exit(5));`;
    const terminal = new Cli(`sse stream run --tee a -- ${node(script)}`, env, [
      ...ON_A_TERMINAL,
      ...PROGRAM,
    ]);
    await until(() => terminal.stdout.includes('waits'));
    terminal.process.stdin!.write('\u0003');
    await until(() => terminal.stdout.includes('interrupted'));
    terminal.process.stdin!.write('end\n');
    expect(await terminal.end()).toBe(5);
    const end = { status: 'error', reason: 'exit 5' };
    expect((await attach('a')).data).toEqual(['waits', 'interrupted', end]);
  });

  it('leaves nothing behind that keeps the command waiting after a signal', async () => {
    const producer = await start(`a -- ${shell('sleep 600 2>&- & echo $!; wait')}`);
    producer.process.kill('SIGTERM');
    expect(await producer.end()).toBe(143);
    process.kill(Number(producer.stdout));
  });

  it.each([
    ['--max-ms 50', 'maxMs'],
    ['--max-bytes 3', 'maxBytes'],
  ])('is ended when the stream reaches %s', async (flag, reason) => {
    const producer = await produce(`${flag} a -- ${node(WAITING)}`);
    expect(await producer.end()).toBe(143);
    expect(await endOf('a')).toEqual({ status: 'error', reason });
  });

  it('is not started while a stream with the id is live, unless --replace ends that one', async () => {
    const first = await start(`a -- ${node(WAITING)}`);
    const touched = file('touched', '') + '.new';
    const refused = await run(`sse stream run a -- touch ${touched}`);
    expect(refused).toEqual({ code: 1, stdout: '', stderr: expect.stringMatching(/^Stream "a" is live: /) });
    expect(existsSync(touched)).toBe(false);
    const replaced = await run(`sse stream run --replace a -- touch ${touched}`);
    expect([replaced.code, replaced.stderr, existsSync(touched)]).toEqual([0, '', true]);
    expect(await first.end()).toBe(143);
    expect((await attach('a')).data).toEqual([{ status: 'done' }]);
  });

  it('is started without a shell, and gets its flags', async () => {
    const result = await run("sse stream run a -- printf %s\\n --json -t $HOME '*'");
    expect(result).toMatchObject({ code: 0, stderr: '' });
    expect((await attach('a')).data).toEqual(['--json', '-t', '$HOME', "'*'", { status: 'done' }]);
  });

  it('is echoed with --tee, and goes on when nobody reads the echo', async () => {
    const echoed = await run('sse stream run --tee a -- seq 3');
    expect(echoed).toEqual({ code: 0, stdout: '1\n2\n3\n', stderr: '' });
    const producer = await produce('--tee b -- cat');
    producer.process.stdout!.destroy();
    producer.process.stdin!.write('2\n');
    producer.process.stdin!.end('3\n');
    expect([await producer.end(), producer.stderr]).toEqual([0, '']);
    expect((await attach('b')).data).toEqual(['2', '3', { status: 'done' }]);
  });

  it('waits while Redis hangs, and then goes on', async () => {
    const redis = await startRedis();
    const at = { SSE_REDIS_URL: redis.url };
    const lines = 20_000;
    const script = `
      const line = 'x'.repeat(499) + '\\n';
      let n = 0;
      const next = () => {
        if (n % 100 === 0) console.error(n);
        if (n++ < ${lines}) process.stdout.write(line) ? setImmediate(next) : process.stdout.once('drain', next);
      };
      process.stdin.once('data', next);
      console.log('waits');`;
    const producer = await start(`a -- ${node(script)}`, at);
    redis.signal('SIGSTOP');
    producer.process.stdin!.end('go\n');
    const written = () => Number([...producer.stderr.matchAll(/^\d+$/gm)].at(-1));
    const seen: number[] = [];
    const isStill = () =>
      seen.push(written()) > 50 && seen.slice(-50).every((count) => count === seen.at(-1));
    await until(isStill);
    // 1 MiB unsent, and what pipes hold.
    expect(written() * 500).toBeLessThan(4 * 1024 * 1024);
    redis.signal('SIGCONT');
    expect(await producer.end()).toBe(0);
    expect((await attach('a', at)).data).toHaveLength(lines + 2);
  });

  it('does not keep the command waiting for a Redis that hangs after a signal', async () => {
    const redis = await startRedis();
    const args = `a --lease-ms 60000 -- ${node(WAITING)}`;
    const producer = await start(args, { SSE_REDIS_URL: redis.url });
    redis.signal('SIGSTOP');
    producer.process.kill('SIGTERM');
    expect(await producer.end()).toBe(1);
    expect(producer.stderr).toMatch(/^Redis has not confirmed the end of the stream$/m);
  });

  it('is ended when Redis is gone for longer than the lease', async () => {
    const redis = await startRedis();
    const producer = await start(`a --lease-ms 1000 -- ${node(WAITING)}`, { SSE_REDIS_URL: redis.url });
    await redis.kill();
    expect(await producer.end()).toBe(143);
    expect(producer.stderr).toMatch(/^Stream "a" is over: lost, lease$/m);
  });

  it.each<[what: string, args: string, stderr: RegExp]>([
    ['no program', 'run a', /missing required argument 'command'/],
    ['a flag of the program without --', 'run a ls -l', /unknown option '-l'/],
    ['a wrong id', 'run {} -- true', /Expected `id`/],
    ['a wrong type', 'run -t error a -- true', /Expected `type`/],
    ['a wrong lease', 'run --lease-ms 1e3 a -- true', /Expected --lease-ms to be a whole number/],
    ['a lease out of bounds', 'run --lease-ms 1 a -- true', /Expected `leaseMs`/],
    ['a wrong duration', 'run --max-ms 0 a -- true', /Expected `maxMs`/],
    ['a channel', 'run -c a b -- true', /unknown option '-c'/],
    ['two streams', 'attach a b', /too many arguments/],
    ['a wrong id to attach to', 'attach {}', /Expected `id`/],
    ['a wrong reason', `stop a --reason ${'x'.repeat(201)}`, /Expected `reason`/],
  ])('is not started with %s, which is wrong usage', async (_, args, stderr) => {
    expect(await run(`sse stream ${args}`)).toEqual({
      code: 2,
      stdout: '',
      stderr: expect.stringMatching(stderr),
    });
  });
});
