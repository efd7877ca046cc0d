/** Clients of `ai.bench.js`: each reads one answer, and checks that it is whole. */
import { Agent, request } from 'node:http';
import { textOf } from './model.js';

const agent = new Agent({ keepAlive: true });
let asked = 0;

function read(url, options, body) {
  return new Promise((resolve, reject) => {
    const start = performance.now();
    let [text, firstMs] = ['', undefined];
    const call = request(url, { agent, ...options }, (response) => {
      response.setEncoding('utf8');
      response.on('error', reject);
      response.on('end', () => resolve({ text, firstMs }));
      response.on('data', (chunk) => {
        text += chunk;
        if (firstMs === undefined && text.includes('text-delta')) firstMs = performance.now() - start;
      });
    });
    call.on('error', reject);
    call.end(body);
  });
}

/** @throws if the answer is not whole */
function check({ text, firstMs }, tokens) {
  const chunks = text.matchAll(/^data: (\{.*\}|\[DONE\])$/gm);
  const data = Array.from(chunks, ([, json]) => (json === '[DONE]' ? json : JSON.parse(json)));
  const deltas = data.filter(({ type }) => type === 'text-delta').map(({ delta }) => delta);
  if (data.at(-1) === '[DONE]' && deltas.join('') === textOf(tokens)) return { firstMs };
  throw new Error(`Expected ${tokens} tokens and [DONE], got ${deltas.length} tokens: ${text.slice(-200)}`);
}

/** Asks a node. @returns the id of the chat, and the end of the answer */
export function ask(node, { tokens, ...model }) {
  const id = `c${asked++}`;
  const messages = [{ id: `${id}.1`, role: 'user', parts: [{ type: 'text', text: 'How many?' }] }];
  const body = JSON.stringify({ id, messages, tokens, ...model });
  const headers = { 'content-type': 'application/json' };
  const answer = read(`${node.url}/chat`, { method: 'POST', headers }, body);
  return { id, done: answer.then((result) => check(result, tokens)) };
}

/** Reads the live answer of a chat on any node. */
export async function resume(node, id, tokens) {
  return check(await read(`${node.url}/chat/${id}/stream`), tokens);
}
