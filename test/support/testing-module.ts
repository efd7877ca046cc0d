import { Body, Controller, Param, Post } from '@nestjs/common';
import { SseChannel, type SseEvent, SseService } from 'nestjs-sse-channels';
import { SseTestingModule, type SseTestingOptions, SseTestingService } from 'nestjs-sse-channels/testing';
import { compileModule } from './nest-module.js';

@Controller('orders/:id')
export class OrdersController {
  constructor(readonly sse: SseService) {}

  @SseChannel('events')
  events(@Param('id') id: string) {
    return `order:${id}`;
  }

  @Post('payments')
  async pay(@Param('id') id: string, @Body() payment: { amount: number }) {
    await this.sse.publish(payment, { channel: `order:${id}`, type: 'paid' });
  }
}

/** Compiles `SseTestingModule` with a controller. `events` has what subscribers by `subscribe()` receive. */
export async function compileTesting(options?: SseTestingOptions) {
  const module = await compileModule({
    imports: [SseTestingModule.forRoot(options)],
    controllers: [OrdersController],
  });
  const sse = module.get(SseTestingService);
  const events: SseEvent[] = [];
  return {
    module,
    sse,
    events,
    subscribe: () => sse.messages('news').subscribe((event) => events.push(event)),
  };
}
