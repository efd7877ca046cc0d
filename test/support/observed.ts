import type { IncomingMessage, ServerResponse } from 'node:http';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';

/** `EventSource` sends this `Accept` header. The paths are for clients that do not. */
export const isStream = ({ headers, url = '' }: IncomingMessage): boolean =>
  headers.accept?.includes('text/event-stream') || /^\/orders\/\d+\/events\b/.test(url);

/** On Express: `app.use(timed((ms) => …))`. */
export const timed =
  (observe: (ms: number) => void) =>
  (request: IncomingMessage, response: ServerResponse, next: () => void) => {
    const start = performance.now();
    response.once('close', () => {
      if (!isStream(request) || response.statusCode !== 200) observe(performance.now() - start);
    });
    next();
  };

/** On Fastify, before `app.listen()`. */
export function timeResponses(app: NestFastifyApplication, observe: (ms: number) => void): void {
  const fastify = app.getHttpAdapter().getInstance();
  fastify.addHook('onResponse', async (request, reply) => {
    if (!isStream(request.raw) || reply.statusCode !== 200) observe(reply.elapsedTime);
  });
}
