import { setTimeout as sleep } from 'node:timers/promises';
import { BadRequestException, Body, Controller, Get, HttpCode, Param, Post, UseGuards } from '@nestjs/common';
import { SseStream, SseStreams, type SseStreamWriter } from 'nestjs-sse-channels';
import { JsonOnly } from './json-only.guard.js';
import { NODE } from './stats.js';

const STEPS = 100;
/** How long a step takes, in ms: the default, and the bounds. */
const [PACE_MS, MIN_MS, MAX_MS] = [200, 10, 10_000];
/** Short, so that the page shows the loss of a killed node soon. */
const LEASE_MS = 5_000;

/** Records, `sse` and `stats` have channels of other names. */
const streamOf = (id: string) => `job:${id}`;

/** @throws BadRequestException */
function paceOf(value: unknown = PACE_MS): number {
  if (Number.isInteger(value) && Number(value) >= MIN_MS && Number(value) <= MAX_MS) return Number(value);
  throw new BadRequestException(`Expected \`paceMs\` to be a whole number from ${MIN_MS} to ${MAX_MS}`);
}

/** A slow job. Its steps take as long as they do in an application that computes, or waits for other servers. */
async function work(out: SseStreamWriter, paceMs: number): Promise<void> {
  for (let step = 1; step <= STEPS; step++) {
    await sleep(paceMs, undefined, { signal: out.signal });
    out.write({ step, of: STEPS, node: NODE }, { type: 'step' });
  }
}

/** Jobs, as streams. Everyone may start, read and stop each. That suits a demonstration, and nothing else. */
@Controller('jobs/:id')
export class JobsController {
  constructor(private readonly streams: SseStreams) {}

  /** The job runs on this node, and goes on after the response. */
  @Post()
  @UseGuards(JsonOnly)
  async start(@Param('id') id: string, @Body() body?: { paceMs?: unknown }) {
    const paceMs = paceOf(body?.paceMs);
    const producer = (out: SseStreamWriter) => work(out, paceMs);
    await this.streams.start(streamOf(id), producer, { leaseMs: LEASE_MS });
    return { id, node: NODE };
  }

  @Get()
  @SseStream()
  watch(@Param('id') id: string) {
    return this.streams.attach(streamOf(id));
  }

  @Get('status')
  status(@Param('id') id: string) {
    return this.streams.status(streamOf(id));
  }

  /** On any node. It responds when the job has stopped. */
  @Post('stop')
  @HttpCode(200)
  @UseGuards(JsonOnly)
  async stop(@Param('id') id: string) {
    return { result: await this.streams.abort(streamOf(id), 'user') };
  }
}
