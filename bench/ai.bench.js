/**
 * What an answer of a model costs, with the AI SDK and a mock model, over one Redis process for each server:
 *
 * - the SDK alone, whose answer ends with the request;
 * - resumable-stream, as the SDK's guide uses it;
 * - this module, with `@SseStream({ format: 'ai-ui' })`.
 *
 * All run on Nest and Fastify, and keep their chats in another Redis, which is not measured.
 *
 *   npm run build && node bench/ai.bench.js [first] [costs] [memory]
 *
 * It checks that each reader gets all tokens once, in order, and the end.
 */
import { measureCosts } from './ai/costs.js';
import { measureFirstToken } from './ai/first-token.js';
import { measureMemory } from './ai/memory.js';
import { stopAll } from './ai/nodes.js';
import { startRedis } from './redis.js';

const PARTS = { first: measureFirstToken, costs: measureCosts, memory: measureMemory };
const chosen = process.argv.slice(2);
const names = chosen.length > 0 ? chosen : Object.keys(PARTS);

const database = await startRedis(16_410);
const redises = { resumable: await startRedis(16_411), sse: await startRedis(16_412) };
try {
  for (const name of names) await PARTS[name]({ redises, database: database.url });
} finally {
  stopAll();
  for (const { stop } of [database, ...Object.values(redises)]) stop();
}
// Connections to the nodes would keep the program running.
process.exit();
