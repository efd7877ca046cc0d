import { BadRequestException, Body, Controller, Get, HttpCode, Post, UseGuards } from '@nestjs/common';
import { type DisconnectTarget, SseService } from 'nestjs-sse-channels';
import { JsonOnly } from './json-only.guard.js';
import { SessionGuard } from './sessions.js';
import { NODE } from './stats.js';

/** Time for the response to leave. */
const KILL_AFTER_MS = 50;

/** This node and its connections. A demonstration shows them to everyone; an application asks for an administrator. */
@Controller()
export class NodeController {
  constructor(private readonly sse: SseService) {}

  @Get('node')
  node() {
    const broker = process.env.SSE_REDIS_URL ? 'redis' : 'memory';
    return { node: NODE, broker, ...this.sse.stats() };
  }

  @Get('connections')
  connections() {
    return this.sse.connections().map(({ id, user, channels, route }) => ({ id, user, channels, route }));
  }

  @Post('disconnect')
  @UseGuards(SessionGuard, JsonOnly)
  async disconnect(@Body() body?: DisconnectTarget & { refuseMs?: number }) {
    const { refuseMs, ...target } = body ?? {};
    return { disconnected: await this.sse.disconnect(target, { refuseMs }) };
  }

  /** Ends the process as a crash does, without a shutdown. Other sites cannot send the name of the node as JSON. */
  @Post('kill')
  @HttpCode(202)
  @UseGuards(JsonOnly)
  kill(@Body() body?: { node?: unknown }) {
    if (body?.node !== NODE) throw new BadRequestException('Expected `node` to be the name of this node');
    setTimeout(() => process.kill(process.pid, 'SIGKILL'), KILL_AFTER_MS);
    return { node: NODE };
  }
}
