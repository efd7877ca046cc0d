import { beforeEach, describe, expect, it, jest } from '@jest/globals';
import { Logger, UnauthorizedException } from '@nestjs/common';
import type { SseService } from 'nestjs-sse-channels';
import { platforms } from './support/app.js';
import { connect } from './support/client.js';
import { routes } from './support/readers.js';
import { cookie, isSent, type Rights, type RightsApp, startRights } from './support/rights-app.js';
import { until } from './support/until.js';

describe.each(platforms)('Access on %s', (_, platform) => {
  let rights: Rights;
  let sse: SseService;
  let url: string;
  let statusOf: RightsApp['statusOf'];

  beforeEach(async () => {
    ({ rights, sse, url, statusOf } = await startRights(platform));
  });

  describe.each(routes)('by an authorizer (/%s)', (path) => {
    it('is decided for each channel and each user', async () => {
      rights.all.add('ann a').add('ann é');
      expect(await statusOf(`/${path}?channel=a`, cookie('ann'))).toBe(200);
      expect(await statusOf(`/${path}?channel=a&channel=e%CC%81`, cookie('ann'))).toBe(200);
      expect(await statusOf(`/${path}?channel=a&channel=b`, cookie('ann'))).toBe(403);
      expect(await statusOf(`/${path}?channel=a`, cookie('bob'))).toBe(403);
      expect(await statusOf(`/${path}?channel=a`)).toBe(401);
      expect(rights.asked).toEqual(['ann a', 'ann a', 'ann é', 'ann a', 'ann b', 'bob a']);
    });

    it('is decided again when a client reconnects', async () => {
      rights.all.add('ann a');
      const first = await connect(`${url}/${path}?channel=a`, cookie('ann'));
      await until(() => sse.connections().length === 1);
      await sse.publish('seen', { channel: 'a' });
      await until(isSent(first, 'seen'));
      const { id } = first.events.at(-1)!;
      first.close();
      await sse.publish('missed', { channel: 'a' });
      rights.all.clear();
      const second = await connect(`${url}/${path}?channel=a`, { ...cookie('ann'), 'last-event-id': id! });
      expect(second.status).toBe(403);
      expect(await second.body()).not.toContain('missed');
    });

    it('lets a client receive the events of the channel', async () => {
      rights.all.add('ann a');
      const client = await connect(`${url}/${path}?channel=a`, cookie('ann'));
      await until(() => sse.connections().length === 1);
      await sse.publish('hello', { channel: 'a' });
      await until(isSent(client, 'hello'));
    });

    it('is refused with 401 if the authorizer throws it', async () => {
      rights.decide = () => {
        throw new UnauthorizedException();
      };
      expect(await statusOf(`/${path}?channel=a`, cookie('ann'))).toBe(401);
    });

    it.each<[string, () => unknown]>([
      ['returns undefined', () => undefined],
      ['returns null', () => null],
      ['returns 1', () => 1],
      ['returns "yes"', () => 'yes'],
      ['returns an object as user', () => ({ user: {} })],
      ['returns an expiry that is not a Date', () => ({ user: 'ann', expiresAt: 1_800_000_000 })],
      ['returns an expiry in the past', () => ({ user: 'ann', expiresAt: new Date(Date.now() - 1) })],
      ['returns an invalid date', () => ({ user: 'ann', issuedAt: new Date(NaN) })],
    ])('is refused if the authorizer %s', async (_what, decide) => {
      const logged = jest.spyOn(Logger.prototype, 'error').mockReturnValue(undefined);
      rights.decide = decide;
      const client = await connect(`${url}/${path}?channel=a`, cookie('ann'));
      expect(client.status).toBe(403);
      // One printable line.
      for (const [line] of logged.mock.calls) expect(line).toMatch(/^[^\p{Cc}]+$/u);
      logged.mockRestore();
    });

    it('ends once the authorizer refuses a user, and continues for other users', async () => {
      rights.all.add('ann a').add('bob a');
      const [ann, bob] = await Promise.all(
        ['ann', 'bob'].map((user) => connect(`${url}/${path}?channel=a`, cookie(user))),
      );
      await until(() => sse.connections().length === 2);
      rights.all.delete('ann a');
      await until(() => ann!.ended);
      await sse.publish('for bob', { channel: 'a' });
      await until(isSent(bob!, 'for bob'));
      expect(ann!.text).not.toContain('for bob');
      expect(await statusOf(`/${path}?channel=a`, cookie('ann'))).toBe(403);
    });

    it('ends by the time its credential expires', async () => {
      rights.all.add('ann a');
      const expires = Date.now() + 800;
      rights.access = { expiresAt: new Date(expires) };
      const client = await connect(`${url}/${path}?channel=a`, cookie('ann'));
      await until(() => client.ended);
      expect(Date.now()).toBeGreaterThan(expires - 400);
    });
  });
});
