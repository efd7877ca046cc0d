/**
 * Compiles the same files with many settings in one process, because reading the same declarations takes most of the time:
 * `node compile.js <folder of TypeScript> <projects as JSON: [{ dir, compilerOptions }]>`. It prints, for each project, the codes
 * of the errors in its files and in the declarations of the package, without those of other packages.
 */
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';

const [typescript, projects] = process.argv.slice(2);
const ts = createRequire(join(resolve(typescript), 'package.json'))(resolve(typescript));
const OWN = /\/node_modules\/nestjs-sse-channels\//;
const sourceFiles = new Map();

/** TypeScript stores the package format of a declaration file with it. The format depends on the settings. */
function createHost(options) {
  const host = ts.createCompilerHost(options);
  const read = host.getSourceFile;
  host.getSourceFile = (name, parsing, ...rest) => {
    const key = `${name} ${parsing.impliedNodeFormat}`;
    if (!sourceFiles.has(key)) sourceFiles.set(key, read(name, parsing, ...rest));
    return sourceFiles.get(key);
  };
  return host;
}

function compile({ dir, compilerOptions }) {
  const config = join(dir, 'tsconfig.json');
  const { options, errors, fileNames } = ts.parseJsonConfigFileContent(
    { compilerOptions, include: ['*.ts'] },
    ts.sys,
    dir,
    undefined,
    config,
  );
  const program = ts.createProgram(fileNames, options, createHost(options));
  const checked = program
    .getSourceFiles()
    .filter(({ fileName }) => fileNames.includes(fileName) || OWN.test(fileName));
  const diagnostics = [
    ...errors,
    ...program.getOptionsDiagnostics(),
    ...program.getGlobalDiagnostics(),
    ...checked.flatMap((file) => [
      ...program.getSyntacticDiagnostics(file),
      ...program.getSemanticDiagnostics(file),
    ]),
  ];
  return [...new Set(diagnostics.map(({ code }) => `TS${code}`))].toSorted().join(' ') || 'compiles';
}

process.stdout.write(JSON.stringify(JSON.parse(projects).map(compile)));
