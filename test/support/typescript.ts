import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';

/** Where the snippets seem to be, so that they have the package scope of the project. */
const FOLDER = join(process.cwd(), 'test/snippets');

const read = (file: string) => JSON.parse(readFileSync(file, 'utf8')) as Record<string, object>;

/** The options of the project, with each entry point of the package as its source file. */
function optionsOf(): ts.CompilerOptions {
  const { compilerOptions } = read('tsconfig.json');
  const { options } = ts.convertCompilerOptionsFromJson(compilerOptions, process.cwd());
  const entries = Object.entries(read('package.json').exports as Record<string, { types?: string }>);
  const sourceOf = (types: string) => types.replace('./dist/', './src/').replace('.d.ts', '.ts');
  const paths = entries.flatMap(([entry, { types }]) =>
    types ? [[join('nestjs-sse-channels', entry), [sourceOf(types)]]] : [],
  );
  return {
    ...options,
    paths: Object.fromEntries(paths) as Record<string, string[]>,
    moduleDetection: ts.ModuleDetectionKind.Force,
    noUnusedLocals: false,
    noUnusedParameters: false,
  };
}

/**
 * Type-checks snippets against the sources, in one program: it takes as long for many as for one.
 *
 * @param snippets by name. One imports another by its name: `./orders.js`
 * @returns the messages of the compiler for each snippet; none where it compiles
 */
export function compile<Name extends string>(snippets: Record<Name, string>): Record<Name, string[]> {
  const entries = Object.entries<string>(snippets);
  const texts = new Map(entries.map(([name, text]) => [join(FOLDER, `${name}.ts`), text]));
  const options = optionsOf();
  const host = ts.createCompilerHost(options, true);
  const program = ts.createProgram([...texts.keys()], options, {
    ...host,
    fileExists: (path) => texts.has(path) || host.fileExists(path),
    directoryExists: (path) => path === FOLDER || host.directoryExists!(path),
    readFile: (path) => texts.get(path) ?? host.readFile(path),
    getSourceFile: (path, ...more) => {
      const text = texts.get(path);
      return text === undefined
        ? host.getSourceFile(path, ...more)
        : ts.createSourceFile(path, text, more[0], true);
    },
  });
  const messagesOf = (path: string) => {
    const file = program.getSourceFile(path);
    const found = [...program.getSyntacticDiagnostics(file), ...program.getSemanticDiagnostics(file)];
    const messages = found.map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n'));
    // Both have an error of the syntax.
    return [...new Set(messages)];
  };
  const results = entries.map(([name]) => [name, messagesOf(join(FOLDER, `${name}.ts`))]);
  return Object.fromEntries(results) as Record<Name, string[]>;
}
