import { type SseEvent, SseModule, type SseModuleOptions, SseService } from 'nestjs-sse-channels';
import { compileModule } from './nest-module.js';

export const dataOf = ({ type, data }: SseEvent) => (type ? [type, data] : data);
export const range = (from: number, to: number) => Array.from({ length: to - from }, (_, n) => from + n);

/** The next events of an iteration. */
export async function take(events: AsyncIterator<SseEvent, undefined>, count: number): Promise<SseEvent[]> {
  const taken: SseEvent[] = [];
  for (let n = 0; n < count; n++) taken.push((await events.next()).value!);
  return taken;
}

/** A node, and numbers that it publishes. */
export async function startIterating(options: SseModuleOptions) {
  const module = await compileModule({ imports: [SseModule.forRoot(options)] });
  const sse = module.get(SseService);
  // On a busy machine, the module does not publish an event again that is not stored, and of which Redis has not answered.
  const publish = (n: number, transient: boolean): Promise<string> =>
    sse.publish(n, { channel: 'a', transient }).catch((error: unknown) => {
      if (transient || options.history === false) return publish(n, transient);
      throw error;
    });
  const publishAll = (from: number, to: number, transient = false) =>
    Promise.all(range(from, to).map((n) => publish(n, transient)));
  return { module, sse, publishAll };
}
