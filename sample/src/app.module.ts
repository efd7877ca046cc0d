import { Module } from '@nestjs/common';
import { SseModule } from 'nestjs-sse-channels';
import { AppController } from './app.controller.js';

@Module({
  imports: [
    SseModule.forRootAsync({
      useFactory: () => ({ redis: process.env.SSE_REDIS_URL || undefined, prefix: process.env.SSE_PREFIX }),
    }),
  ],
  controllers: [AppController],
})
export class AppModule {}
