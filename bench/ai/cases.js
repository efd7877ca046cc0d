/**
 * What a page of the AI SDK shows when something happens to it, to its connection, or to the node of the model. The page is the SDK's own chat
 * with its own transport, and with ours. Two nodes are processes of their own over one Redis. Nothing has another value than by default; the nodes run with
 * `NODE_ENV=production`.
 *
 *   npm run build && node bench/ai/cases.js
 *
 * Each cell says what the program has observed. A column is a server and a transport: add one below.
 */
import { DefaultChatTransport } from 'ai';
import { SseChatTransport } from 'nestjs-sse-channels/client/ai';
import { say, startRedis } from '../redis.js';
import { startNode, stopAll } from './nodes.js';
import { OWN, SHARED } from './scenarios.js';

const transport = (options) => new DefaultChatTransport(options);
const stop = async ({ node, id }) => {
  await fetch(`${node.url}/chat/${id}/stop`, { method: 'POST' });
};

const COLUMNS = [
  { name: 'this module', server: 'sse', transport, stop },
  {
    name: 'this module, `SseChatTransport`',
    server: 'sse',
    transport: (options) => new SseChatTransport(options),
    stop,
  },
  {
    name: 'resumable-stream',
    server: 'resumable',
    transport,
    // It has no stop of its own: the application would have to bring one.
    stop: ({ page }) => page.chat.stop(),
  },
];

async function startPair({ server }, redis, database) {
  return [await startNode(server, redis, database), await startNode(server, redis, database)];
}

/** @returns what was observed, by row; nothing if the case itself has failed */
async function observe(scenario, world) {
  try {
    return await scenario(world);
  } catch (error) {
    process.stderr.write(`${world.column.name}: ${error.stack}\n`);
    process.exitCode = 1;
    return {};
  }
}

async function runColumn(column, redis, database) {
  const start = () => startPair(column, redis, database);
  const shared = async () => {
    const nodes = await start();
    const rows = [];
    for (const scenario of SHARED) rows.push(await observe(scenario, { column, nodes }));
    return rows;
  };
  const own = async (scenario) => observe(scenario, { column, nodes: await start() });
  const rows = await Promise.all([shared(), ...OWN.map(own)]);
  return Object.assign({}, ...rows.flat());
}

const redis = await startRedis(16_415);
const database = await startRedis(16_416);
try {
  const columns = await Promise.all(COLUMNS.map((column) => runColumn(column, redis.url, database.url)));
  say(
    `| | ${COLUMNS.map(({ name }) => name).join(' | ')} |\n| --- | ${COLUMNS.map(() => '---').join(' | ')} |`,
  );
  for (const title of new Set(columns.flatMap(Object.keys))) {
    say(`| ${title} | ${columns.map((cells) => cells[title] ?? 'not observed').join(' | ')} |`);
  }
} finally {
  stopAll();
  redis.stop();
  database.stop();
}
process.exit();
