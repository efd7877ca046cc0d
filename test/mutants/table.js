import { format, resolveConfig } from 'prettier';

const INTRODUCTION = `# What each guard is for, as the tests see it

Each row is a condition or a step that is there because of a fault, a race or a bound. \`npm run mutants\` takes it out of
a copy of the sources and runs the tests that should notice, until one fails.

`;

const cell = (text) => text.replaceAll('|', '\\|');

export async function tableOf(results) {
  const rows = results.map(({ guard, file, caught }) => {
    const by = caught ? `\`${caught.file}\`: ${caught.failed}` : '**nothing**';
    return `| ${cell(guard)} | \`${file}\` | ${cell(by)} |`;
  });
  const lines = ['| Guard | File | Noticed by |', '| --- | --- | --- |', ...rows];
  const options = await resolveConfig(import.meta.filename);
  return format(`${INTRODUCTION}${lines.join('\n')}\n`, { ...options, parser: 'markdown' });
}
