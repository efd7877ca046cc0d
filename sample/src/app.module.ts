import { Module } from '@nestjs/common';
import { SseModule } from 'nestjs-sse-channels';
import { AppController } from './app.controller.js';
import { ChatController } from './chat.controller.js';
import { Chats } from './chats.js';
import { JobsController } from './jobs.controller.js';
import { NodeController } from './node.controller.js';
import { RecordReaders, Records, RecordsController } from './records.controller.js';
import { SessionController } from './session.controller.js';
import { Sessions } from './sessions.js';
import { Stats } from './stats.js';

@Module({
  imports: [
    SseModule.forRootAsync({
      useFactory: () => ({ redis: process.env.SSE_REDIS_URL || undefined, prefix: process.env.SSE_PREFIX }),
    }),
  ],
  controllers: [
    AppController,
    NodeController,
    SessionController,
    RecordsController,
    JobsController,
    ChatController,
  ],
  providers: [Sessions, Records, RecordReaders, Stats, Chats],
})
export class AppModule {}
