import { describe, expect, it } from '@jest/globals';
import { commandLine } from './support/command-line.js';

describe('The start of `sse subscribe`', () => {
  const { run } = commandLine();
  const publish = async (...all: number[]) => {
    for (const n of all) await run('sse publish --channel news', `${n}`);
  };
  const read = async (args: string, more = {}) => {
    const { code, stdout, stderr } = await run(`sse subscribe --channel news --json ${args}`, '', more);
    expect(code).toBe(0);
    const lines = stdout.trimEnd().split('\n');
    return { data: lines.map((line) => (JSON.parse(line) as { data: number }).data), stderr };
  };

  it.each([
    ['--from earliest --count 3', [1, 2, 3]],
    ['--from 2 --count 2', [2, 3]],
    ['--from 9 --count 3', [1, 2, 3]],
  ])('is with the stored events that %s names', async (args, data) => {
    await publish(1, 2, 3);
    expect(await read(args)).toEqual({ data, stderr: '' });
  });

  it('is after the position that `sse position` has printed', async () => {
    await publish(1);
    const { code, stdout, stderr } = await run('sse position news');
    expect([code, stderr]).toEqual([0, '']);
    await publish(2, 3);
    expect(await read(`--last-event-id ${stdout.trim()} --count 2`)).toEqual({ data: [2, 3], stderr: '' });
    const several = await run('sse position stock news');
    expect(several.stdout).toMatch(/^\S+~\S+\n$/);
    expect((await run('sse position --channel news')).stdout).toMatch(/^\d+-\d+\n$/);
  });

  it('reports stored events that the limits do not allow', async () => {
    await run('sse publish --channel news --ndjson', Array.from({ length: 1_001 }, (_, n) => n).join('\n'));
    const { data, stderr } = await read('--from earliest --count 1');
    expect([data, stderr]).toEqual([[1], expect.stringMatching(/limits/)]);
  });
});
