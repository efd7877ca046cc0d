import { beforeEach, describe, expect, it } from '@jest/globals';
import { Test } from '@nestjs/testing';
import { ChannelGuard, fromQuery, SseChannel, SseModule, type SseService } from 'nestjs-sse-channels';
import { platforms } from './support/app.js';
import { connect } from './support/client.js';
import {
  cookie,
  isSent,
  type Rights,
  type RightsApp,
  RightsController,
  startRights,
} from './support/rights-app.js';
import { until } from './support/until.js';

describe.each(platforms)('Access on %s', (_, platform) => {
  let rights: Rights;
  let sse: SseService;
  let url: string;
  let statusOf: RightsApp['statusOf'];

  beforeEach(async () => {
    ({ rights, sse, url, statusOf } = await startRights(platform));
  });

  it('is allowed only for the channels in a list', async () => {
    const client = await connect(`${url}/listed?channel=news&channel=Cafe%CC%81`);
    expect(client.status).toBe(200);
    await client.next();
    await sse.publish('hello', { channel: 'Café' });
    expect(await client.next()).toMatchObject({ data: 'hello' });
    expect(await statusOf('/listed?channel=news')).toBe(200);
    for (const query of ['secret', 'NEWS', 'new', 'newss', '__proto__', 'news&channel=secret']) {
      expect([query, await statusOf(`/listed?channel=${query}`)]).toEqual([query, 403]);
    }
  });

  it('is allowed for channels whose whole name matches an expression', async () => {
    for (const channel of ['team-1', 'team-22', 'open', 'open']) {
      expect(await statusOf(`/matched?channel=${channel}`)).toBe(200);
    }
    for (const channel of ['team-', 'my-team-1', 'team-1-board', 'reopen', 'opens', 'open%0Ateam-1']) {
      expect([400, 403]).toContain(await statusOf(`/matched?channel=${channel}`));
    }
  });

  it.each([
    '',
    '?channel=',
    '?channel[]=news',
    '?channel[a]=news',
    '?channel=a%00',
    `?channel=${'x'.repeat(201)}`,
  ])('is refused for an invalid channel: %s', async (query) => {
    const client = await connect(`${url}/listed${query}`);
    expect(client.status).toBe(400);
  });

  it('is refused without naming the channel in the response', async () => {
    const bodies = await Promise.all(
      ['/listed?channel=secret', '/asked?channel=secret'].map(async (path) =>
        (await connect(url + path, cookie('ann'))).body(),
      ),
    );
    for (const body of bodies) expect(JSON.parse(body)).toMatchObject({ statusCode: 403 });
    expect(bodies.join()).not.toContain('secret');
  });

  it('is decided for the record in the path', async () => {
    rights.all.add('owner record:7');
    for (const path of ['records/7/sse', 'guarded/records/7']) {
      const owner = await connect(`${url}/${path}`, cookie('owner'));
      await until(() => sse.connections().length === 1);
      await sse.publish('changed', { channel: 'record:7' });
      await until(isSent(owner, 'changed'));
      owner.close();
      await until(() => sse.connections().length === 0);
      expect(await statusOf(`/${path}`, cookie('stranger'))).toBe(403);
      expect(await statusOf(`/${path}`)).toBe(401);
    }
    expect(await statusOf('/records/8/sse', cookie('owner'))).toBe(403);
    expect(await statusOf('/records/x/sse', cookie('owner'))).toBe(400);
  });

  it('is refused for an object that only looks like a grant', () => {
    for (const forged of [
      { access: '1', channels: ['!disconnect'] },
      { access: {}, channels: ['a'], renew: null },
    ]) {
      expect(() => sse.messages(forged as unknown as string)).toThrow(/Expected `channel`/);
    }
  });

  it('is refused with 500 if a handler asks for granted channels without a rule', async () => {
    expect(await statusOf('/unguarded?channel=a')).toBe(500);
  });
});

describe('A rule', () => {
  it.each<[unknown, string]>([
    ['news', 'a list of channels or patterns'],
    [{ news: true }, 'a list of channels or patterns'],
    [null, 'a list of channels or patterns'],
    [['a b'], '`channel`'],
  ])('cannot be %j', (allow, message) => {
    expect(() => SseChannel('x', { allow: allow as [] })).toThrow(message);
    expect(() => ChannelGuard(allow as [], fromQuery)).toThrow(message);
  });

  it('prevents the start of the application if Nest cannot instantiate its class', async () => {
    const module = await Test.createTestingModule({
      imports: [SseModule.forRoot()],
      controllers: [RightsController],
    }).compile();
    await expect(module.init()).rejects.toThrow(/dependencies of the Readers.*Rights/);
    await module.close();
  });
});
