import { Body, Controller, Get, Post, UseGuards } from '@nestjs/common';
import { type DisconnectTarget, SseService } from 'nestjs-sse-channels';
import { JsonOnly } from './json-only.guard.js';
import { SessionGuard } from './sessions.js';
import { NODE } from './stats.js';

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
}
