/** Runs command lines one after the other, each as if in its own process. Nest is loaded only once. */
import { Readable } from 'node:stream';
import { pathToFileURL } from 'node:url';

const program = pathToFileURL(process.argv[2]).href;
const environment = { ...process.env };
const output = { stdout: '', stderr: '' };
let count = 0;
let exit;

for (const name of Object.keys(output)) {
  // Each command line adds a listener.
  process[name].setMaxListeners(0);
  process[name].write = (chunk, ...more) => {
    output[name] += chunk;
    const callback = more.at(-1);
    if (typeof callback === 'function') queueMicrotask(callback);
    return true;
  };
}
process.exit = (code) => {
  // The code after the call of `exit()` would not have run.
  exit ??= { code, ...output };
  throw new Error(`Exit with ${code}`);
};

async function run({ args, input, env }) {
  output.stdout = output.stderr = '';
  exit = process.exitCode = undefined;
  process.argv.splice(2, Infinity, ...args);
  process.env = { ...environment, ...env };
  Object.defineProperty(process, 'stdin', {
    value: Readable.from([Buffer.from(input, 'base64')]),
    configurable: true,
  });
  try {
    // The query makes Node.js run the program again, with its imports already loaded.
    count += 1;
    await import(`${program}?${count}`);
  } catch (error) {
    if (!exit) throw error;
  }
  return exit ?? { code: process.exitCode ?? 0, ...output };
}

process.on('message', async (commandLine) => {
  const result = await run(commandLine);
  process.exitCode = undefined;
  process.send(result);
});
