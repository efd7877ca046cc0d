import { type CanActivate, Controller, Injectable, UseGuards } from '@nestjs/common';
import { describe, expect, it } from '@jest/globals';
import {
  ChannelGuard,
  fromQuery,
  GrantedChannels,
  SseChannel,
  SseGrant,
  SseModule,
  SseService,
} from 'nestjs-sse-channels';
import { startApp } from './support/app.js';
import { connect } from './support/client.js';
import { authorizer, nestedQueryPlatforms, Readers, startRules } from './support/rules-app.js';
import { until } from './support/until.js';

/** Delays requests after `ChannelGuard` has decided. */
@Injectable()
class SlowGuard implements CanActivate {
  static waiting: (() => void) | undefined;

  canActivate(): Promise<boolean> {
    return new Promise((resolve) => (SlowGuard.waiting = () => resolve(true)));
  }
}

@Controller()
class SlowController {
  @SseChannel('slowly-granted')
  @UseGuards(ChannelGuard(Readers, fromQuery), SlowGuard)
  slowlyGranted(@GrantedChannels() granted: SseGrant) {
    return granted;
  }
}

describe.each(nestedQueryPlatforms)('ChannelGuard on %s', (name, platform) => {
  it('grants channels that the handler returns', async () => {
    const { url, sse, statusOf } = await startRules(name, platform);
    authorizer.decision = { user: 'ann' };
    const client = await connect(`${url}/granted/7`);
    await client.next();
    expect(sse.connections()).toMatchObject([{ user: 'ann', channels: ['order:7', 'news'] }]);
    await sse.publish('x', { channel: 'order:7' });
    expect(await client.next()).toMatchObject({ data: 'x' });
    authorizer.decision = false;
    expect(await statusOf('granted/7')).toBe(403);
    expect(await statusOf('granted-again?channel=news')).toBe(200);
    expect(await statusOf('granted-again?channel=other')).toBe(403);
  });

  it('does not use a decision from before a disconnection, even if the request takes long afterwards', async () => {
    const imports = [SseModule.forRoot()];
    const { app, url } = await startApp(platform, { imports, controllers: [SlowController] });
    authorizer.decision = { user: 'ann' };
    SlowGuard.waiting = undefined;
    const connecting = connect(`${url}/slowly-granted?channel=news`);
    await until(() => SlowGuard.waiting !== undefined);
    await app.get(SseService).disconnect({ user: 'ann' }, { refuseMs: 0 });
    const after = Date.now();
    await until(() => Date.now() > after);
    SlowGuard.waiting!();
    const client = await connecting;
    await until(() => client.ended);
    expect([client.status, client.events]).toEqual([200, []]);
    expect(client.text).toMatch(/^retry: \d+\n/m);
  });
});

describe('SseGrant', () => {
  it('can be created in a test, without a rule', () => {
    expect(new SseGrant({ channels: ['news', 'Cafe\u0301', 'news'] })).toMatchObject({
      channels: ['news', 'Caf\u00e9'],
      access: {},
    });
    for (const channels of [['!disconnect'], [], [undefined], ['a b'], 'x\n']) {
      expect(() => new SseGrant({ channels: channels as string[] })).toThrow('`channel`');
    }
    expect(() => new SseGrant({ channels: ['news'], access: { user: '' } })).toThrow('`user`');
    for (const [slip, name] of [
      [{ channels: ['news'], acess: { user: 'ann' } }, '`acess`'],
      [{ channels: ['news'], access: { usr: 'ann' } }, '`usr`'],
      [{ channels: ['news'], access: { expiresAt: new Date('x') } }, '`expiresAt`'],
      [Promise.resolve({ channels: ['news'] }), 'a Promise'],
    ] as const) {
      expect(() => new SseGrant(slip as unknown as SseGrant)).toThrow(name);
    }
  });
});
