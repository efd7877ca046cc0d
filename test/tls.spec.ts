import { readFileSync } from 'node:fs';
import { describe, expect, it, jest } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { SseModule, type SseModuleOptions, SseService } from 'nestjs-sse-channels';
import { freePort } from './support/port.js';
import { startRedis } from './support/redis.js';
import { until } from './support/until.js';

const [cert, key] = ['cert.pem', 'key.pem'].map((name) => `test/support/tls/${name}`) as [string, string];

describe('Redis over TLS', () => {
  const start = async (redis: (port: number) => SseModuleOptions['redis']) => {
    const port = await freePort();
    const files = [
      '--tls-cert-file',
      `${process.cwd()}/${cert}`,
      '--tls-key-file',
      `${process.cwd()}/${key}`,
    ];
    await startRedis(['--tls-port', `${port}`, ...files, '--tls-auth-clients', 'no']);
    const module = await Test.createTestingModule({
      imports: [SseModule.forRoot({ redis: redis(port) })],
    }).compile();
    return { module, sse: module.get(SseService) };
  };

  it('publishes and receives events if its certificate is trusted', async () => {
    const ca = readFileSync(cert);
    const { module, sse } = await start((port) => ({ host: 'localhost', port, tls: { ca } }));
    const received: unknown[] = [];
    sse.messages('news').subscribe(({ data }) => received.push(data));
    await until(async () => (await sse.publish('hello', { channel: 'news' }), received.includes('hello')));
    await module.close();
  });

  it('is not used if its certificate is not trusted', async () => {
    const warned = jest.spyOn(Logger.prototype, 'warn').mockReturnValue(undefined);
    const { module, sse } = await start((port) => `rediss://localhost:${port}`);
    await expect(sse.publish('secret')).rejects.toMatchObject({
      code: 'SSE_UNAVAILABLE',
      mayBePublished: false,
    });
    expect(warned.mock.calls.join()).toContain('self-signed certificate');
    warned.mockRestore();
    await module.close();
  });
});
