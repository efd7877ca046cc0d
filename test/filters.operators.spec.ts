import { describe, expect, it } from '@jest/globals';
import { filterEvents, type SseEvent, SseModule, SseService } from 'nestjs-sse-channels';
import { finalize, Subject } from 'rxjs';
import { platforms, startApp } from './support/app.js';
import { brokerOptions } from './support/broker-options.js';
import { watchLog } from './support/log.js';
import { until } from './support/until.js';

const log = watchLog();

describe('filterEvents()', () => {
  const event = { id: '1763884800000-1', channel: 'a', data: 1 };

  it('ends the observable with the error that the predicate throws', () => {
    const source = new Subject<SseEvent>();
    const cause = new Error('the application’s own');
    const errors: unknown[] = [];
    const predicate = () => {
      throw cause;
    };
    source.pipe(filterEvents(predicate)).subscribe({ error: (error) => errors.push(error) });
    source.next(event);
    expect(errors).toEqual([cause]);
    expect(source.observed).toBe(false);
  });

  it('ends the observable with an error if the predicate returns no boolean, and rejects a predicate that is not a function', () => {
    const source = new Subject<SseEvent>();
    const seen: unknown[] = [];
    const asynchronous = (async () => false) as unknown as () => boolean;
    source
      .pipe(filterEvents(asynchronous))
      .subscribe({ next: (each) => seen.push(each), error: (e) => seen.push(e) });
    source.next(event);
    expect(seen).toEqual([
      expect.objectContaining({ code: 'SSE_OPTIONS', message: expect.stringContaining('a Promise') }),
    ]);
    expect(() => filterEvents(undefined as never)).toThrow(expect.objectContaining({ code: 'SSE_INPUT' }));
  });

  it('sends only positions of the channel, not the id of an event without a position', async () => {
    const { app } = await startApp(platforms[0][1], { imports: [SseModule.forRoot({ history: false })] });
    const events: SseEvent[] = [];
    let isDone = false;
    const sse = app.get(SseService);
    const kept = sse.messages().pipe(filterEvents(() => false));
    kept.subscribe({ next: (each) => events.push(each), complete: () => (isDone = true) });
    await until(() => sse.stats().connections === 1);
    await sse.publish(1, { id: 'own' });
    await until(() => sse.stats().delivered === 1);
    await app.close();
    expect([events, isDone]).toEqual([[], true]);
  });
});

describe.each(brokerOptions)('An observable of messages() %s', (_broker, options) => {
  const bad = () => {
    throw new Error('the application’s own');
  };
  const start = async () => {
    const { app } = await startApp(platforms[0][1], { imports: [SseModule.forRoot(options())] });
    return { app, sse: app.get(SseService) };
  };

  it('whose finalize() throws does not keep other connections from being disconnected', async () => {
    const { sse } = await start();
    let completed = 0;
    const complete = () => completed++;
    sse.messages('a', { user: 'u' }).pipe(finalize(bad)).subscribe();
    for (let n = 0; n < 2; n++) sse.messages('a', { user: 'u' }).subscribe({ complete });
    sse.messages('a', { user: 'other' }).subscribe({ complete });
    await until(() => sse.stats().connections === 4);
    await sse.disconnect({ user: 'u' });
    await until(() => completed === 2 && sse.connections().length === 1);
    await sse.disconnect({ user: 'other' });
    await until(() => completed === 3 && sse.connections().length === 0);
  });

  it('whose finalize() throws does not keep other connections from closing at shutdown', async () => {
    const { app, sse } = await start();
    let completed = 0;
    sse.messages('a').pipe(finalize(bad)).subscribe();
    sse.messages('a').subscribe({ complete: () => completed++ });
    await until(() => sse.stats().connections === 2);
    await app.close();
    expect(completed).toBe(1);
  });

  it('whose finalize() throws when its credential expires does not end the process', async () => {
    const { sse } = await start();
    // Jest fails the test on an uncaught exception.
    sse
      .messages('a', { expiresAt: new Date(Date.now() + 100) })
      .pipe(finalize(bad))
      .subscribe();
    await until(() => sse.connections().length === 0);
    expect(log.failed).toHaveBeenCalledTimes(1);
  });
});
