import { type SseEvent, SseModule, type SseModuleOptions, SseService } from 'nestjs-sse-channels';
import { compileModule } from './nest-module.js';

export const dataOf = ({ type, data }: SseEvent) => (type ? [type, data] : data);
export const range = (from: number, to: number) => Array.from({ length: to - from }, (_, n) => from + n);

const PART = 500;

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
  // In parts, so that each publication is confirmed in time, also on a busy machine.
  const publishAll = async (from: number, to: number, transient = false) => {
    const ids: string[] = [];
    for (let n = from; n < to; n += PART) {
      const part = range(n, Math.min(n + PART, to)).map((each) => publish(each, transient));
      ids.push(...(await Promise.all(part)));
    }
    return ids;
  };
  return { module, sse, publishAll };
}
