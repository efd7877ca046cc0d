import {
  Controller,
  type INestApplication,
  Injectable,
  Param,
  ParseIntPipe,
  Post,
  Sse,
  UseGuards,
} from '@nestjs/common';
import { ApiOkResponse, DocumentBuilder, type OpenAPIObject, SwaggerModule } from '@nestjs/swagger';
import { toJsonSchema } from '@valibot/to-json-schema';
import { type as ark } from 'arktype';
import {
  ChannelGuard,
  defineChannel,
  LastEventId,
  type SseAuthorizer,
  SseChannel,
  SseModule,
  SseService,
  SseStream,
  SseStreams,
  SseTickets,
  type,
} from 'nestjs-sse-channels';
import { ApiSse, describeEvents, type SseSchemaOptions } from 'nestjs-sse-channels/swagger';
import * as v from 'valibot';
import { z } from 'zod';
import { type Platform, startApp } from './app.js';

const Comment = z.object({
  text: z.string().nullable(),
  size: z.tuple([z.number().gt(0), z.string()]),
  get replies() {
    return z.array(Comment);
  },
});

/** Events whose schemas are of each library, and of each form of data. */
export const orders = defineChannel('order:{id}', {
  status: z.object({ status: z.enum(['open', 'sent']), note: z.string().optional() }),
  paid: v.object({ amount: v.pipe(v.number(), v.gtValue(0)), by: v.nullable(v.string()) }),
  shipped: ark({ 'weight?': 'number>0', to: "'home'|'work'", at: ['number', 'number'] }),
  rated: type<{ stars: number }>(),
  comment: Comment,
  label: z.string().min(1),
  total: z.number(),
  hint: z.union([z.string(), z.object({ text: z.string() })]),
  '': z.object({ tick: z.int().meta({ id: 'Tick' }) }),
});

export const news = defineChannel('news', {
  status: z.object({ headline: z.string() }),
  message: z.string(),
});

export const jobs = defineChannel('job:{id}', { step: z.object({ done: z.number() }) });

@Injectable()
class Readers implements SseAuthorizer<typeof orders> {
  authorize({ id }: { id: string }) {
    return id !== 'secret';
  }
}

@Controller()
class DescribedController {
  constructor(
    private readonly sse: SseService,
    private readonly streams: SseStreams,
  ) {}

  @SseChannel('orders/:id/events', { channel: orders, allow: Readers })
  orders() {}

  @SseChannel('news/:id', { channel: [orders, news] })
  news(@Param('id', ParseIntPipe) id: number) {
    void id;
  }

  @Sse('sse/:id')
  @UseGuards(ChannelGuard(Readers, orders))
  @ApiSse(orders, { allow: Readers })
  sseOrders(@Param('id') id: string, @LastEventId() lastEventId?: string) {
    return this.sse.messages(orders({ id }), { lastEventId });
  }

  @ApiSse(jobs)
  @Post('jobs/:id')
  @SseStream({ allow: SseTickets })
  job(@Param('id') id: string) {
    return this.streams.start(jobs({ id }).name, () => undefined);
  }

  @SseChannel('own', { channel: news })
  @ApiOkResponse({
    description: 'Mine',
    content: { 'text/event-stream': { schema: { type: 'string', description: 'Mine' } } },
  })
  own() {}

  @SseChannel('example', { channel: news })
  @ApiOkResponse({ content: { 'text/event-stream': { example: 'data: 1\n\n' } } })
  example() {}
}

export const startDescribed = (platform: Platform, configure?: (app: INestApplication) => void) =>
  startApp(
    platform,
    { imports: [SseModule.forRoot()], controllers: [DescribedController], providers: [Readers] },
    configure,
  );

export const rawDocument = (app: INestApplication, version: string): OpenAPIObject =>
  SwaggerModule.createDocument(app, new DocumentBuilder().setOpenAPIVersion(version).build());

/** Valibot is the library without a converter of its own. */
export const options: SseSchemaOptions = {
  toJsonSchema: (schema, target) =>
    toJsonSchema(schema as v.GenericSchema, { target, typeMode: 'output', ignoreActions: ['gt_value'] }),
};

export const documentOf = (app: INestApplication, version: string): OpenAPIObject =>
  // What is served is JSON.
  JSON.parse(JSON.stringify(describeEvents(rawDocument(app, version), options))) as OpenAPIObject;
