import {
  applyDecorators,
  type CanActivate,
  Controller,
  type ExecutionContext,
  ForbiddenException,
  Injectable,
  Module,
  Sse,
  UseGuards,
} from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { describe, expect, it } from '@jest/globals';
import {
  ChannelGuard,
  fromQuery,
  GrantedChannels,
  heartbeat,
  type SseAuthorizer,
  SseChannel,
  SseModule,
  SseService,
} from 'nestjs-sse-channels';
import { of } from 'rxjs';
import { platforms, startApp } from './support/app.js';
import { connect } from './support/client.js';

let made = 0;

@Injectable()
class Rights {
  readonly channels = ['news'];
}

@Injectable()
class Readers implements SseAuthorizer {
  readonly number = made++;
  readonly asked: string[] = [];

  constructor(private readonly rights: Rights) {}

  authorize(channel: string) {
    this.asked.push(channel);
    return this.rights.channels.includes(channel);
  }
}

@Injectable()
class HeaderGuard implements CanActivate {
  canActivate(context: ExecutionContext) {
    const { headers } = context.switchToHttp().getRequest<{ headers: Record<string, string> }>();
    if (headers['x-key'] !== 'right') throw new ForbiddenException();
    return true;
  }
}

const Protected = (path: string) => applyDecorators(SseChannel(path), UseGuards(HeaderGuard));

@Controller()
class NewsController {
  constructor(readonly sse: SseService) {}

  @Protected('protected')
  behindAGuard() {
    return 'news';
  }

  @SseChannel('readonly')
  readonlyList(): readonly string[] {
    return ['news', 'sports'];
  }

  @SseChannel('asked', { channel: fromQuery, allow: Readers })
  asked() {}

  @SseChannel('asked-too', { channel: fromQuery, allow: Readers })
  askedToo() {}

  @Sse('guarded')
  @UseGuards(ChannelGuard(Readers, fromQuery))
  guarded(@GrantedChannels() channels: never) {
    return this.sse.messages(channels).pipe(heartbeat());
  }
}

describe.each(platforms)('A controller on %s', (_, platform) => {
  it('may combine @SseChannel() with other decorators, and return a readonly list', async () => {
    const { url } = await startApp(platform, {
      imports: [SseModule.forRoot()],
      controllers: [NewsController],
      providers: [Rights],
    });
    expect((await connect(`${url}/protected`)).status).toBe(403);
    const client = await connect(`${url}/protected`, { 'x-key': 'right' });
    expect(await client.next()).toMatchObject({ event: 'sse.open' });
    const opened = await (await connect(`${url}/readonly`)).next();
    expect(opened.data).toBe('{"channel":["news","sports"]}');
  });

  it('may use an authorizer that is not a provider: each module instantiates it as it does guards', async () => {
    const before = made;
    const { url } = await startApp(platform, {
      imports: [SseModule.forRoot()],
      controllers: [NewsController],
      providers: [Rights],
    });
    expect(made - before).toBe(1);
    for (const path of ['asked', 'asked-too', 'guarded']) {
      expect((await connect(`${url}/${path}?channel=news`)).status).toBe(200);
      expect((await connect(`${url}/${path}?channel=secret`)).status).toBe(403);
    }
  });

  it('uses the authorizer that its module provides or imports', async () => {
    @Module({ providers: [Readers, Rights], exports: [Readers, Rights] })
    class RightsModule {}
    const before = made;
    const { app, url } = await startApp(platform, {
      imports: [SseModule.forRoot(), RightsModule],
      controllers: [NewsController],
    });
    expect(made - before).toBe(1);
    for (const path of ['asked', 'asked-too', 'guarded']) await connect(`${url}/${path}?channel=news`);
    expect(app.get(Readers).asked).toEqual(['news', 'news', 'news']);
  });

  it('prevents the start without SseModule, with an error that says so', async () => {
    @Controller()
    class Lonely {
      @SseChannel('lonely')
      lonely() {
        return 'news';
      }
    }
    const starting = startApp(platform, { controllers: [Lonely] });
    await expect(starting).rejects.toThrow('@SseChannel() needs SseModule: import SseModule.forRoot()');
  });

  it('can be tested with only a custom SseService', async () => {
    const event = { id: '1', channel: 'news', data: 'from the test' };
    const fake = { messages: () => of(event) };
    const { app, url } = await startApp(platform, {
      controllers: [NewsController],
      providers: [Rights, { provide: SseService, useValue: fake }],
    });
    expect(app.get(NewsController).behindAGuard()).toBe('news');
    const client = await connect(`${url}/guarded?channel=news`);
    expect(await client.next()).toMatchObject({ data: 'from the test' });
    expect((await connect(`${url}/guarded?channel=secret`)).status).toBe(403);
    expect((await connect(`${url}/readonly`)).status).toBe(500);
  });
});

describe('A unit test of a controller', () => {
  it('compiles its module with only a custom SseService', async () => {
    const module = await Test.createTestingModule({
      controllers: [NewsController],
      providers: [Rights, { provide: SseService, useValue: {} }],
    }).compile();
    expect(module.get(NewsController).readonlyList()).toEqual(['news', 'sports']);
    await module.init();
    await module.close();
  });
});

describe('@SseChannel() in TypeScript', () => {
  it('accepts only handlers that return a target', () => {
    class Handlers {
      @SseChannel('text')
      text() {
        return 'news';
      }

      @SseChannel('later')
      async later() {
        return { channel: ['a', 'b'] as const, filter: () => true };
      }

      // @ts-expect-error -- a number is not a channel
      @SseChannel('number')
      number() {
        return 7;
      }

      // @ts-expect-error -- without a rule any client could read any channel
      @SseChannel('nothing')
      nothing() {}

      // @ts-expect-error -- such a target has no channel
      @SseChannel('object', { allow: ['news'] })
      object() {
        return { channels: 'news' };
      }
    }
    expect(new Handlers().number()).toBe(7);
  });
});
