import {
  type CanActivate,
  Controller,
  type ExecutionContext,
  ForbiddenException,
  Header,
  Param,
  ParseIntPipe,
  Query,
  Res,
  UseGuards,
} from '@nestjs/common';
import { SseChannel, SseModule } from 'nestjs-sse-channels';
import { type Platform, startApp } from './app.js';

/** A guard that waits until the test opens it. */
class SlowGuard implements CanActivate {
  /** Resolves when a request has reached the guard. */
  entered!: Promise<void>;
  #enter!: () => void;
  #open!: () => void;

  reset(): void {
    this.entered = new Promise((resolve) => (this.#enter = resolve));
  }

  canActivate(): Promise<boolean> {
    this.#enter();
    return new Promise((resolve) => (this.#open = () => resolve(true)));
  }

  open(): void {
    this.#open();
  }
}

/** Guards `/slow`. */
export const slowGuard = new SlowGuard();

const noGuard: CanActivate = {
  canActivate() {
    throw new ForbiddenException('not you');
  },
};
const headerGuard = (name: string, value: string): CanActivate => ({
  canActivate(context: ExecutionContext) {
    const response = context.switchToHttp().getResponse<{ header(name: string, value: string): void }>();
    response.header(name, value);
    return true;
  },
});

class Base {
  @SseChannel('inherited')
  inherited() {
    return 'inherited';
  }
}

@Controller()
class ResponseController extends Base {
  @SseChannel(['one', 'two'])
  async paths(@Query('a') a = 'x', @Query('b') b = 'y') {
    return `${a}-${b}`;
  }

  @SseChannel('params/:id')
  params(@Param('id', ParseIntPipe) id: number, @Res({ passthrough: true }) response: object) {
    return `${id}-${typeof response}`;
  }

  @SseChannel('headers')
  @Header('X-Own', 'yes')
  @UseGuards(headerGuard('x-guard', 'also'))
  headers() {
    return 'sse';
  }

  @SseChannel('unfit')
  @UseGuards(headerGuard('x-user', '漢字'))
  unfit() {
    return 'sse';
  }

  @SseChannel('forbidden')
  @UseGuards(noGuard)
  forbidden() {
    return 'sse';
  }

  @SseChannel('throws')
  throws(): string {
    throw new ForbiddenException('not this');
  }

  @SseChannel('slow')
  @UseGuards(slowGuard)
  slow() {
    return 'sse';
  }

  @SseChannel('filter')
  filter() {
    return { channel: 'sse', filter: 'no function' as never };
  }

  @SseChannel('failing')
  failing() {
    return {
      channel: 'sse',
      filter: (): boolean => {
        throw new Error('this filter fails');
      },
    };
  }
}

const imports = [SseModule.forRoot({ heartbeatMs: 1_000 })];

/** Starts an application with routes that set headers, fail, wait, or filter. */
export async function startRoutes(platform: Platform, options = imports) {
  slowGuard.reset();
  return startApp(platform, { imports: options, controllers: [ResponseController] }, (app) =>
    app.enableCors({ origin: 'https://elsewhere.example', credentials: true }),
  );
}
