import {
  type CallHandler,
  Controller,
  type ExecutionContext,
  ForbiddenException,
  Get,
  Injectable,
  type NestInterceptor,
  Param,
  ParseIntPipe,
  type PipeTransform,
  SetMetadata,
  Sse,
  UseGuards,
  UseInterceptors,
  UsePipes,
} from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import {
  ChannelGuard,
  defineChannel,
  GrantedChannels,
  SseChannel,
  type SseAuthorizer,
  type SseGrant,
  SseModule,
  SseService,
  type SseTypedChannel,
  SseTickets,
  type,
} from 'nestjs-sse-channels';
import { map, of } from 'rxjs';
import { type Platform, startApp } from './app.js';

export const orders = defineChannel('order:{id}', { paid: type<{ amount: number }>() });
export const items = defineChannel('order:{id}/item:{item}', { moved: type<string>() });
export const news = defineChannel('news', { message: type<string>() });
export const things = defineChannel('{kind}:{id}', { paid: type<{ amount: number }>() });
export const users = defineChannel('user:{user}', { '': type<string>() });

/** What the authorizers were asked. */
export const asked: unknown[] = [];

/** Everyone may read what does not belong to `eve`. */
@Injectable()
class OrderReaders implements SseAuthorizer<typeof orders> {
  async authorize(
    { id }: { id: string },
    context: ExecutionContext,
    channel: SseTypedChannel<typeof orders>,
  ) {
    const { headers } = context.switchToHttp().getRequest<{ headers: Record<string, string> }>();
    asked.push({ id, name: channel.name, isOrder: channel.definition === orders });
    return id !== 'eve' && { user: headers['x-user'] ?? 'nobody' };
  }
}

/** Decides about all channels at once. */
@Injectable()
class AllReaders implements SseAuthorizer<typeof orders | typeof users> {
  authorize(): never {
    throw new ForbiddenException();
  }

  authorizeAll(
    channels: readonly ({ id: string } | { user: string })[],
    _context: ExecutionContext,
    typed: readonly SseTypedChannel<typeof orders | typeof users>[] = [],
  ) {
    asked.push([channels, typed.map(({ name }) => name)]);
    return channels.map((parameters) => !('user' in parameters && parameters.user === 'eve'));
  }
}

/** As `trim()`: what a class of pipes may do with each parameter. */
@Injectable()
class Lower implements PipeTransform<unknown, unknown> {
  transform(value: unknown) {
    return typeof value === 'string' ? value.toLowerCase() : value;
  }
}

/** A class with a getter. */
class Trimmed implements PipeTransform<{ id: string }, { readonly id: string }> {
  transform({ id }: { id: string }) {
    return Object.create({
      get id() {
        return id.trim();
      },
    }) as { readonly id: string };
  }
}

class Renamed implements PipeTransform<{ id: string }, { order: string }> {
  transform({ id }: { id: string }) {
    return { order: id };
  }
}

/** Wraps responses, as many applications do. */
@Injectable()
class Wrap implements NestInterceptor {
  intercept(_context: ExecutionContext, next: CallHandler) {
    return next.handle().pipe(map((data: unknown) => ({ data })));
  }
}

@Injectable()
class Skip implements NestInterceptor {
  intercept() {
    return of(undefined);
  }
}

@Injectable()
class Load implements PipeTransform<string, { order: string }> {
  transform(order: string) {
    return { order };
  }
}

@Controller()
export class TypedController {
  constructor(private readonly sse: SseService) {}

  @SseChannel('orders/:id/events', { channel: orders, allow: OrderReaders })
  ofOrder() {}

  @SseChannel('open/:id', { channel: orders })
  open() {}

  @SseChannel('piped/:id', { channel: orders })
  async piped(@Param('id', ParseIntPipe) _id: number) {}

  @SseChannel('lower/:id/:item', { channel: items })
  @UsePipes(Lower)
  lower(@Param('id') _id: string, @Param('item') _item: string) {}

  @SseChannel('whole/:id', { channel: orders })
  whole(@Param(Trimmed) _all: { id: string }) {}

  @SseChannel('renamed/:id', { channel: orders })
  renamed(@Param(Renamed) _all: { order: string }) {}

  @SseChannel('changed/:id', { channel: orders })
  changed(@Param() all: { id: string }) {
    all.id = 'changed';
  }

  /** Decorators above the route's are closer to the handler. */
  @UseInterceptors(Wrap)
  @SseChannel('wrapped/:id', { channel: orders })
  wrapped(@Param('id', ParseIntPipe) _id: number) {}

  @UseInterceptors(Skip)
  @SseChannel('skipped/:id', { channel: orders })
  skipped(@Param('id', ParseIntPipe) _id: number) {}

  @SseChannel('over/:kind/:id', { channel: [things, orders], allow: ['order:{id}', 'item:{id}'] })
  over() {}

  @SseChannel('twice-guarded/:id', { channel: orders })
  @UseGuards(ChannelGuard(OrderReaders, orders))
  @UsePipes(Lower)
  twiceGuarded(@Param('id') _id: string) {}

  @SseChannel('loaded/:id', { channel: orders })
  loaded(@Param('id', Load) _order: { order: string }) {}

  @SseChannel('items/:id/:item', { channel: items })
  ofItem() {}

  @SseChannel('several/:id/:user', {
    channel: [orders, users, news],
    allow: ['order:{id}', 'user:{id}', 'news'],
  })
  several() {}

  @SseChannel('all/:id/:user', { channel: [orders, users], allow: AllReaders })
  all() {}

  @SseChannel('listed/:id', { channel: orders, allow: ['order:7'] })
  listed() {}

  @SseChannel('tickets/:id', { channel: orders, allow: SseTickets })
  tickets() {}

  @SseChannel('wrong/:order', { channel: orders })
  wrong() {}

  @SseChannel('returned/:id')
  returned(@Param('id') id: string) {
    return { channel: [orders({ id }), 'news'], filter: () => true };
  }

  @SseChannel('with-result/:id', { channel: orders })
  withResult(): void {
    // As a JavaScript project may do it.
    return 'order:8' as never;
  }

  @Sse('guarded/:id')
  @UseGuards(ChannelGuard(OrderReaders, orders))
  guarded(@GrantedChannels() allowed: SseGrant) {
    return this.sse.messages<string>(allowed);
  }

  /** Metadata that is set before and after the route's. */
  @SetMetadata('after', 'after')
  @SseChannel('metadata/:id', { channel: orders })
  @SetMetadata('before', 'before')
  metadata() {}

  @Get('metadata')
  read() {
    const reflector = new Reflector();
    // oxlint-disable-next-line typescript/unbound-method -- for its metadata
    const { metadata } = TypedController.prototype;
    return [metadata.name, reflector.get('before', metadata), reflector.get('after', metadata)];
  }
}

export async function startTyped(platform: Platform) {
  const { app, url } = await startApp(platform, {
    imports: [SseModule.forRoot({ heartbeatMs: 1_000 })],
    controllers: [TypedController],
  });
  return { url, sse: app.get(SseService), tickets: app.get(SseTickets) };
}
