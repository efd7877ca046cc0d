import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { Controller, Injectable, Logger, Query } from '@nestjs/common';
import {
  type SseAuthorizer,
  SseChannel,
  type SseEvent,
  SseModule,
  type SseModuleOptions,
  SseService,
} from 'nestjs-sse-channels';
import { FailureLog } from '../src/common/failure-log.js';
import { causeOf } from '../src/common/sse.errors.js';
import { platforms, startApp } from './support/app.js';
import { connect } from './support/client.js';
import { until } from './support/until.js';

const SECRET = 'card 4711 of Ann';

const failures: Record<string, (event: SseEvent) => never> = {
  json: ({ data }) => JSON.parse(String(data)) as never,
  message: ({ data }) => {
    throw new RangeError(`No such card:\n    at ${String(data)}`);
  },
  text: ({ data }) => {
    throw data;
  },
  object: ({ data }) => {
    throw { data };
  },
  nothing: () => {
    throw undefined;
  },
};

@Injectable()
class Failing implements SseAuthorizer {
  authorize(channel: string): boolean {
    throw channel === 'text' ? 'the database is gone' : new RangeError(`no pool, attempt ${Math.random()}`);
  }
}

@Controller()
class FailingController {
  @SseChannel('filtered')
  filtered(@Query('by') by: string) {
    return { channel: ['sse', 'other'], filter: failures[by]! };
  }

  @SseChannel('asked', { allow: Failing })
  asked(@Query('channel') channel: string) {
    return channel;
  }
}

describe.each(platforms)('The log, on %s', (_, platform) => {
  let logged: jest.SpiedFunction<Logger['error']>;
  beforeEach(() => {
    logged = jest.spyOn(Logger.prototype, 'error').mockReturnValue(undefined);
  });
  afterEach(() => logged.mockRestore());

  const start = async (options: SseModuleOptions = {}) => {
    const { app, url } = await startApp(platform, {
      imports: [SseModule.forRoot(options)],
      controllers: [FailingController],
      providers: [Failing],
    });
    return { url, sse: app.get(SseService) };
  };
  const lines = () => logged.mock.calls.map(([line]) => String(line));

  it.each([
    ['json', /A connection to sse ends, as it failed: SyntaxError at JSON\.parse/],
    ['message', /A connection to sse ends, as it failed: RangeError at .*failures\.spec\.ts:\d+:\d+/],
    ['text', /A connection to sse ends, as it failed: a string was thrown/],
    ['object', /A connection to sse ends, as it failed: an object was thrown/],
    ['nothing', /A connection to sse ends, as it failed: undefined was thrown/],
  ])('names the cause of failing filters once, without event data: %s', async (by, expected) => {
    const { url, sse } = await start();
    for (let round = 0; round < 3; round++) {
      const clients = await Promise.all(Array.from({ length: 5 }, () => connect(`${url}/filtered?by=${by}`)));
      await until(() => sse.connections().length === 5);
      await sse.publish(SECRET);
      await until(() => clients.every(({ ended }) => ended));
      await until(() => sse.connections().length === 0);
    }
    expect(lines()).toEqual([expect.stringMatching(expected)]);
    expect(lines().join()).not.toContain('4711');
  });

  it('names the cause of a failing authorizer once, for any thrown value', async () => {
    const { url } = await start();
    for (let n = 0; n < 10; n++) {
      for (const channel of ['text', 'error']) {
        const client = await connect(`${url}/asked?channel=${channel}`);
        client.close();
      }
    }
    expect(lines()).toEqual([
      expect.stringMatching(/^Failing .*"the database is gone"$/),
      expect.stringMatching(/^Failing .*"no pool, attempt [\d.e-]+"$/),
    ]);
  });

  it('has one line for metrics that fail on each event', async () => {
    const metrics = {
      start: () => () => undefined,
      publication: () => {
        throw new Error('these metrics fail');
      },
    };
    const { sse } = await start({ metrics });
    for (let n = 0; n < 10; n++) await sse.publish(SECRET);
    expect(logged.mock.calls).toEqual([[new Error('these metrics fail')]]);
  });
});

describe('A log of failures', () => {
  beforeEach(() => {
    jest.useFakeTimers();
  });
  afterEach(() => {
    jest.useRealTimers();
    jest.restoreAllMocks();
  });

  it('has one line per minute and kind, with the number of failures', () => {
    const logged = jest.spyOn(Logger.prototype, 'error').mockReturnValue(undefined);
    const log = new FailureLog();
    for (let n = 0; n < 5; n++) log.error('a', 'a failed');
    log.error('b', 'b failed');
    jest.advanceTimersByTime(60_000);
    for (let n = 0; n < 2; n++) log.error('a', 'a failed');
    jest.advanceTimersByTime(60_000);
    log.error('b', 'b failed');
    expect(logged.mock.calls.flat()).toEqual([
      'a failed',
      'b failed',
      'a failed (and 4 times before)',
      'b failed',
    ]);
  });

  it('distinguishes a bounded number of kinds', () => {
    const logged = jest.spyOn(Logger.prototype, 'error').mockReturnValue(undefined);
    const log = new FailureLog();
    for (let n = 0; n < 1_000; n++) log.error(`${n}`, 'failed');
    expect(logged).toHaveBeenCalledTimes(100);
    jest.advanceTimersByTime(60_000);
    log.error('another', 'failed');
    expect(logged).toHaveBeenCalledTimes(101);
  });
});

describe('The cause of a failure', () => {
  it('contains the class of the error, and its location', () => {
    class CardError extends Error {}
    expect(causeOf(new CardError('a\n    at secret'))).toMatch(/^CardError at .*failures\.spec/);
    expect(causeOf(Object.assign(new Error('secret'), { stack: undefined }))).toBe('Error');
    expect(causeOf(Object.assign(new Error('secret'), { stack: 5, message: {} }))).toBe('Error');
    for (const [thrown, cause] of <[unknown, string][]>[
      ['secret', 'a string'],
      [5, 'a number'],
      [null, 'null'],
      [{ secret: 1 }, 'an object'],
      [new Map(), 'a Map'],
    ]) {
      expect(causeOf(thrown)).toBe(`${cause} was thrown`);
    }
  });
});
