import { describe, expect, it } from '@jest/globals';
import { Cli } from './support/cli.js';
import { TestCluster } from './support/cluster.js';
import { eventsOf, streamCommands } from './support/stream-commands.js';
import { until } from './support/until.js';

/** What a stream contains, and what its readers get. */
describe('A stream on the command line', () => {
  const { env, run, attach, produce, node, shell } = streamCommands();
  /** The output of a program, as the data of the events. */
  const dataOf = async (script: string, flags = '') => {
    const { code, stderr } = await run(`sse stream run ${flags} a -- ${node(script)}`);
    expect([code, stderr]).toEqual([0, '']);
    return (await attach('a')).data;
  };

  it('is printed from its first event, before, while and after it is produced', async () => {
    const producer = await produce('a --type step -- cat');
    const before = new Cli('sse stream attach a', env);
    producer.process.stdin!.write('first\n');
    await until(() => before.stdout.includes('data: first\n'));
    const during = new Cli('sse stream attach a', env);
    await until(() => during.stdout.includes('data: first\n'));
    producer.process.stdin!.end('second\n');
    expect([await producer.end(), producer.stdout, producer.stderr]).toEqual([0, '', '']);
    const after = await run('sse stream attach a');
    for (const reader of [before, during]) {
      expect([await reader.end(), reader.stdout, reader.stderr]).toEqual([0, after.stdout, '']);
    }
    expect(after.stdout.replaceAll(/id: \d+-\d+/g, 'id: …')).toBe(
      'event: step\nid: …\ndata: first\n\nevent: step\nid: …\ndata: second\n\n' +
        'event: sse.end\nid: …\ndata: {"status":"done"}\n\n',
    );
  });

  it('contains all lines of a large output in order', async () => {
    const lines = Array.from({ length: 20_000 }, (_, n) => `line ${n}`);
    const data = await dataOf("for (let n = 0; n < 20_000; n++) console.log('line ' + n)");
    expect(data).toEqual([...lines, { status: 'done' }]);
  });

  it('contains blank lines, CRLF lines without CR, and a last line without a line break', async () => {
    expect(await dataOf("process.stdout.write('one\\r\\n\\n two \\n\\u2028\\nlast')")).toEqual([
      'one',
      '',
      ' two ',
      '\u2028',
      'last',
      { status: 'done' },
    ]);
  });

  it('contains characters whose bytes arrive one by one', async () => {
    const script = `
      const bytes = [...Buffer.from('Zürich 東京 🚂\\n🚃')];
      const next = () => bytes.length && process.stdout.write(Buffer.from([bytes.shift()]), () => setTimeout(next, 2));
      next();`;
    expect(await dataOf(script)).toEqual(['Zürich 東京 🚂', '🚃', { status: 'done' }]);
  });

  it('contains the replacement character for bytes that are no UTF-8', async () => {
    expect(await dataOf('process.stdout.write(Buffer.from([97, 255, 98]))')).toEqual([
      'a\ufffdb',
      { status: 'done' },
    ]);
  });

  it('has no events of a program without output', async () => {
    expect(await dataOf('')).toEqual([{ status: 'done' }]);
  });

  it('keeps the digits of numbers with --json, and skips blank lines', async () => {
    const script = 'process.stdout.write(\'12345678901234567890\\n\\n {"a": 1.10}\\r\\n\')';
    await dataOf(script, '--json');
    const { stdout } = await run('sse stream attach a --json');
    expect(stdout.split('\n').map((line) => /"data":(.*)}/.exec(line)?.[1])).toEqual([
      '12345678901234567890',
      '{"a":1.10}',
      '{"status":"done"},"type":"sse.end"',
      undefined,
    ]);
  });

  it.each([
    ['a line that is no JSON', '--json', "'1\\ns3cret\\n2\\n'", /^Expected line 2 to be JSON: .*\n$/],
    ['output that is no UTF-8', '--json', 'Buffer.from([255])', /^Expected the output .* to be UTF-8\n$/],
    [
      'a line that is too long',
      '',
      "'x\\n' + 'y'.repeat(300_000) + '\\n'",
      /^Line 2: .*at most 262144 bytes/,
    ],
    ['a line without an end', '', "'y'.repeat(9 * 1024 * 1024)", /^Expected line 1 to be at most/],
  ])('ends as error for %s, and its program is stopped', async (_, flags, output, message) => {
    const program = node(`process.stdout.write(${output}); setInterval(() => {}, 1_000)`);
    const { code, stderr } = await run(`sse stream run a ${flags} -- ${program}`);
    expect([code, stderr]).toEqual([2, expect.stringMatching(message)]);
    expect(stderr).not.toContain('s3cret');
    const { data } = await attach('a');
    expect(data.at(-1)).toEqual({ status: 'error', reason: 'invalid output' });
  });

  it('resumes after an event, and tells by its exit code how it has ended', async () => {
    await run('sse stream run good -- seq 3');
    await run(`sse stream run bad -- ${shell('echo 1; exit 3')}`);
    const { events } = await attach('good');
    expect((await attach(`good --last-event-id ${events[1]!.id}`)).data).toEqual(['3', { status: 'done' }]);
    const done = await attach(`good --last-event-id ${events.at(-1)!.id}`);
    expect(done).toMatchObject({ code: 0, stderr: '', data: [] });
    const failed = await attach('bad');
    expect([failed.code, failed.stderr]).toEqual([1, '']);
    const last = await attach(`bad --last-event-id ${failed.events.at(-1)!.id}`);
    expect(last).toMatchObject({ code: 1, data: [] });
  });

  it('of which nothing is kept is reported by `attach` and `stop`', async () => {
    const missing = { code: 1, stdout: '', stderr: 'Nothing is kept of stream "nope"\n' };
    expect(await run('sse stream attach nope')).toEqual(missing);
    expect(await run('sse stream stop nope')).toEqual({ code: 1, stdout: 'missing\n', stderr: '' });
  });

  it('does not slow its producer down if a reader stalls, which gets everything later', async () => {
    const producer = await produce('a -- cat');
    const reader = new Cli('sse stream attach a --json', env);
    producer.process.stdin!.write('first\n');
    await until(() => reader.stdout.includes('first'));
    reader.process.stdout!.pause();
    const lines = Array.from({ length: 5_000 }, (_, n) => `${n}${'x'.repeat(1_000)}`);
    producer.process.stdin!.end(`${lines.join('\n')}\n`);
    expect(await producer.end()).toBe(0);
    reader.process.stdout!.resume();
    expect(await reader.end()).toBe(0);
    expect(eventsOf(reader.stdout).map(({ data }) => data)).toEqual(['first', ...lines, { status: 'done' }]);
  });

  it.each<[what: string, leave: (reader: Cli) => unknown, code: number]>([
    ['by SIGINT', (reader) => reader.process.kill('SIGINT'), 130],
    ['by SIGTERM', (reader) => reader.process.kill('SIGTERM'), 143],
    ['by closing the pipe', (reader) => reader.process.stdout!.destroy(), 0],
  ])('goes on when a reader leaves %s', async (_, leave, code) => {
    const producer = await produce('a -- cat');
    const reader = new Cli('sse stream attach a', env);
    producer.process.stdin!.write('first\n');
    await until(() => reader.stdout.includes('first'));
    leave(reader);
    producer.process.stdin!.write('second\n');
    expect([await reader.end(), reader.stderr]).toEqual([code, '']);
    producer.process.stdin!.end();
    expect(await producer.end()).toBe(0);
    expect((await attach('a')).data).toEqual(['first', 'second', { status: 'done' }]);
  });

  it.each(['--cluster', '--sharded'])('is produced, printed and stopped in a cluster: %s', async (flag) => {
    const cluster = await TestCluster.start({ replicas: 0 });
    const [one, other] = cluster.servers.map(({ url }) => ({ SSE_REDIS_URL: url, SSE_PREFIX: 'sse:' }));
    const produced = await run(`sse stream run a ${flag} -- seq 3`, '', one);
    expect(produced).toEqual({ code: 0, stdout: '', stderr: '' });
    const { code, data } = await attach(`a ${flag}`, other);
    expect([code, data]).toEqual([0, ['1', '2', '3', { status: 'done' }]]);
    const stopped = await run(`sse stream stop a ${flag}`, '', other);
    expect(stopped).toEqual({ code: 0, stdout: 'ended\n', stderr: '' });
  });
});
