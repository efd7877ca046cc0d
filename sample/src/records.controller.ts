import {
  Body,
  Controller,
  Delete,
  type ExecutionContext,
  ForbiddenException,
  Get,
  HttpCode,
  Injectable,
  Param,
  ParseIntPipe,
  Put,
  Req,
  UseGuards,
} from '@nestjs/common';
import { defineChannel, type SseAuthorizer, SseChannel, SseService, type } from 'nestjs-sse-channels';
import { SessionGuard, type SessionRequest, Sessions } from './sessions.js';

interface Record {
  content?: unknown;
  owner: string;
  readers: Set<string>;
}

/** Records. The first user who writes one owns it. A demonstration keeps them in the memory of the node. */
@Injectable()
export class Records {
  readonly #all = new Map<number, Record>();

  /** @throws ForbiddenException for all users but the owner */
  ofOwner(id: number, user: string): Record {
    const record = this.#all.get(id) ?? { owner: user, readers: new Set<string>() };
    if (record.owner !== user) throw new ForbiddenException();
    this.#all.set(id, record);
    return record;
  }

  contentOf(id: number): unknown {
    return this.#all.get(id)?.content;
  }

  mayRead(id: number, user: string): boolean {
    const record = this.#all.get(id);
    return record !== undefined && (record.owner === user || record.readers.has(user));
  }
}

/** The content of a record, whatever it is. */
export const records = defineChannel('record:{id}', { message: type<unknown>() });

/** Whether a channel is a record's, in any Unicode form. */
export const isRecordChannel = (channel: unknown) =>
  typeof channel === 'string' && channel.normalize('NFC').startsWith('record:');

/** A user who may read a record may read its channel. The module asks again while the connection is open. */
@Injectable()
export class RecordReaders implements SseAuthorizer<typeof records> {
  constructor(
    private readonly all: Records,
    private readonly sessions: Sessions,
  ) {}

  authorize({ id }: { id: string }, context: ExecutionContext) {
    const { headers } = context.switchToHttp().getRequest<SessionRequest>();
    // Read again: the session may have ended since the connection opened.
    const session = this.sessions.find(headers.cookie);
    return session !== undefined && this.all.mayRead(Number(id), session.user) && session;
  }
}

@Controller('records/:id')
@UseGuards(SessionGuard)
export class RecordsController {
  constructor(
    private readonly sse: SseService,
    private readonly all: Records,
  ) {}

  @SseChannel('sse', { channel: records, allow: RecordReaders })
  stream(@Param('id', ParseIntPipe) _id: number) {}

  /** The position is read first: a later change arrives as an event. */
  @Get()
  async read(@Param('id', ParseIntPipe) id: number, @Req() { session }: SessionRequest) {
    if (!this.all.mayRead(id, session.user)) throw new ForbiddenException();
    const lastEventId = await this.sse.position(records({ id }));
    return { lastEventId, record: this.all.contentOf(id) };
  }

  @Put()
  async write(
    @Param('id', ParseIntPipe) id: number,
    @Body() body: unknown,
    @Req() { session }: SessionRequest,
  ) {
    this.all.ofOwner(id, session.user).content = body;
    return { event: await this.sse.publish(records({ id }), 'message', body) };
  }

  @Put('readers/:user')
  @HttpCode(204)
  share(
    @Param('id', ParseIntPipe) id: number,
    @Param('user') user: string,
    @Req() { session }: SessionRequest,
  ): void {
    this.all.ofOwner(id, session.user).readers.add(user);
  }

  @Delete('readers/:user')
  @HttpCode(204)
  async revoke(
    @Param('id', ParseIntPipe) id: number,
    @Param('user') user: string,
    @Req() { session }: SessionRequest,
  ): Promise<void> {
    // First the right: the client of an ended connection reconnects.
    this.all.ofOwner(id, session.user).readers.delete(user);
    await this.sse.disconnect({ user, channel: records({ id }) }, { refuseMs: 0 });
  }
}
