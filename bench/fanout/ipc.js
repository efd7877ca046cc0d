/** Calls between the runner and its processes, over the channel that `fork()` gives them. */
import { fork } from 'node:child_process';
import { once } from 'node:events';

/** Starts a file of this folder. Resolves with the values that it reports once it is ready. */
export async function start(file, options = {}, execArgv = []) {
  // JSON serialization has no Infinity.
  const settings = { execArgv, serialization: 'advanced' };
  const child = fork(new URL(file, import.meta.url), [JSON.stringify(options)], settings);
  const gone = once(child, 'exit');
  const waiting = new Map();
  let [calls, onNotice] = [0, () => undefined];
  const ready = new Promise((resolve, reject) => {
    waiting.set('ready', { resolve, reject });
  });
  child.on('message', ({ id, result, error, notice }) => {
    if (notice !== undefined) return onNotice(notice);
    const { resolve, reject } = waiting.get(id);
    waiting.delete(id);
    if (error === undefined) resolve(result);
    else reject(new Error(`${file}: ${error}`));
  });
  child.on('exit', (code) => {
    for (const { reject } of waiting.values()) reject(new Error(`${file} has ended (${code})`));
  });
  const remote = {
    call: (method, ...args) =>
      new Promise((resolve, reject) => {
        if (!child.connected) return reject(new Error(`${file} has ended`));
        waiting.set(++calls, { resolve, reject });
        child.send({ id: calls, method, args });
      }),
    tell: (method, ...args) => child.connected && child.send({ method, args }),
    onNotice: (listener) => (onNotice = listener),
    async stop() {
      // The child then exits normally, which writes its CPU profile.
      if (child.connected) child.disconnect();
      const timer = setTimeout(() => child.kill('SIGKILL'), 10_000);
      await gone;
      clearTimeout(timer);
    },
  };
  return Object.assign(remote, await ready);
}

/** In a started process: its options. */
export const options = process.send ? JSON.parse(process.argv[2]) : {};

/** Answers calls with these methods until the runner disconnects. */
export function answer(methods, about = {}, atEnd = () => undefined) {
  process.on('message', async ({ id, method, args }) => {
    try {
      const result = await methods[method](...args);
      if (id !== undefined) process.send({ id, result });
    } catch (error) {
      process.send({ id, error: error.stack });
    }
  });
  process.on('disconnect', async () => {
    await atEnd();
    process.exit();
  });
  process.send({ id: 'ready', result: about });
}

export const notify = (notice) => process.send({ notice });
