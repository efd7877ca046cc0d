import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { transformSync } from '@swc/core';
import { Redis } from 'ioredis';
import type { BrowserContext, Page } from 'playwright-core';
import { snippetsOf } from '../recipes.js';
import { adminUrl, randomPrefix, redisUrl } from '../redis.js';
import { until } from '../until.js';

/** The versions of the AI SDK, and the packages with them. */
export const sdks = [
  ['5', 'ai-react-5/node_modules/ai', 'ai-react-5'],
  ['6', 'ai-react-6/node_modules/ai', 'ai-react-6'],
  ['7', 'ai', '@ai-sdk/react'],
] as const;

export type Sdk = (typeof sdks)[number];

const modules = join(process.cwd(), 'node_modules');
const SUPPORT = 'test/support/ai';

/** The recipe as a program that uses one version of the SDK, and its page. */
export class ChatApp {
  readonly prefix = randomPrefix();
  readonly #nodes = new Set<ChatNode>();

  private constructor(private readonly dir: string) {}

  static build([, sdk, react]: Sdk): ChatApp {
    mkdirSync(join(modules, '.cache'), { recursive: true });
    const dir = mkdtempSync(join(modules, '.cache', 'ai-'));
    mkdirSync(join(dir, 'node_modules'));
    symlinkSync(join(modules, sdk), join(dir, 'node_modules/ai'));
    symlinkSync(process.cwd(), join(dir, 'node_modules/nestjs-sse-channels'));
    const [controller] = snippetsOf('ai-chat.md', 'ts') as [string];
    const { code } = transformSync(controller, {
      jsc: {
        target: 'es2022',
        parser: { syntax: 'typescript', decorators: true },
        transform: { legacyDecorator: true, decoratorMetadata: true },
      },
    });
    const leased = code.replace('replace: true', 'replace: true, leaseMs: Number(process.env.LEASE_MS)');
    writeFileSync(join(dir, 'controller.js'), leased);
    writeFileSync(join(dir, 'package.json'), '{"type":"module"}');
    writeFileSync(join(dir, 'recipe.tsx'), snippetsOf('ai-chat.md', 'tsx')[0]!);
    for (const file of ['main.js', 'page.js']) cpSync(join(SUPPORT, file), join(dir, file));
    const bundle = [
      join(dir, 'page.js'),
      '--bundle',
      '--format=esm',
      '--jsx=automatic',
      `--alias:ai=${join(modules, sdk)}`,
      `--alias:@ai-sdk/react=${join(modules, react)}`,
      '--define:process.env.NODE_ENV="production"',
      '--minify',
      `--outfile=${join(dir, 'bundle.js')}`,
      '--log-level=error',
    ];
    execFileSync(join(modules, '.bin/esbuild'), bundle, { stdio: 'inherit' });
    return new ChatApp(dir);
  }

  /** Ends all nodes. */
  async remove(): Promise<void> {
    await Promise.all([...this.#nodes].map((node) => node.end('SIGKILL')));
    rmSync(this.dir, { recursive: true });
  }

  /** A node as a process. @param sse options of the module */
  async start(platform: string, sse: object = {}, env: Record<string, string> = {}): Promise<ChatNode> {
    const variables = {
      REDIS: redisUrl(),
      CHATS: adminUrl(),
      PREFIX: this.prefix,
      PLATFORM: platform,
      LEASE_MS: '15000',
    };
    const options = { env: { ...process.env, ...variables, SSE: JSON.stringify(sse), ...env } };
    const node = new ChatNode(spawn('node', [join(this.dir, 'main.js')], options));
    this.#nodes.add(node);
    await until(() => node.url ?? node.process.exitCode ?? node.output);
    if (!node.url) throw new Error(node.output);
    return node;
  }
}

/** A node of the application. */
export class ChatNode {
  output = '';

  constructor(readonly process: ChildProcess) {
    for (const stream of [process.stdout!, process.stderr!]) {
      stream.on('data', (chunk: Buffer) => (this.output += chunk.toString()));
    }
  }

  get url(): string | undefined {
    return /Listening on (\S+)/.exec(this.output)?.[1];
  }

  async end(signal: NodeJS.Signals): Promise<void> {
    const { exitCode, signalCode } = this.process;
    if (exitCode !== null || signalCode !== null) return;
    const exited = once(this.process, 'exit');
    this.process.kill(signal);
    await exited;
  }
}

/** What the page shows. */
export interface Shown {
  status: string;
  error?: string;
  roles: string;
  texts: string[];
  finished: { isAbort: boolean; isDisconnect: boolean; isError: boolean }[];
  statuses: string[];
}

/** A page with the chat. */
export class ChatPage {
  readonly errors: string[] = [];

  private constructor(readonly page: Page) {
    page.on('pageerror', ({ message }) => this.errors.push(message));
  }

  /** @param kind `sdk` for the transport of the SDK */
  static async open(
    context: BrowserContext,
    url: string,
    id: string,
    kind: '' | 'sdk' | 'recipe' = '',
  ): Promise<ChatPage> {
    const page = new ChatPage(await context.newPage());
    await page.page.goto(`${url}/page?id=${id}&${kind}`);
    if (kind !== 'recipe') await page.until(() => true);
    return page;
  }

  send(text: string): Promise<void> {
    return this.page.evaluate(`void chat.sendMessage({ text: ${JSON.stringify(text)} })`);
  }

  shown(): Promise<Shown | undefined> {
    return this.page.evaluate<Shown | undefined>('globalThis.shown');
  }

  async until(isRight: (shown: Shown) => boolean): Promise<Shown> {
    return (await until(
      () => this.shown(),
      (shown) => shown !== undefined && isRight(shown),
    ))!;
  }

  /** Until the answer has that many words. */
  words(count: number): Promise<Shown> {
    return this.until(({ texts: [, answer = ''] }) => answer.split(' ').length > count);
  }

  /** Until the answer is whole, or has failed, or, without a number of words, has ended. */
  ended(count?: number): Promise<Shown> {
    return this.until(({ status, texts }) => {
      const isEnded = count === undefined ? texts.length > 1 : texts[1] === wordsOf(count);
      return status === 'error' || (status === 'ready' && isEnded);
    });
  }
}

export const wordsOf = (count: number): string => Array.from({ length: count }, (_, n) => `w${n} `).join('');

/** A chat, and what the application has stored of it. */
export class Chat {
  readonly id = `c${randomUUID()}`;
  readonly #key: string;

  constructor({ prefix }: ChatApp) {
    this.#key = `${prefix}${this.id}`;
  }

  /** What to ask for an answer of so many words, with a pause between them. */
  ask(count: number, ms: number): string {
    return `${count} words, ${ms} ms (${this.id})`;
  }

  async stored(): Promise<{ role: string; id: string; parts: { type: string; text: string }[] }[]> {
    return this.#redis(async (redis) => {
      const ids = await redis.lrange(`${this.#key}:ids`, 0, -1);
      const messages = await Promise.all(ids.map((id) => redis.hget(this.#key, id)));
      return messages.map((message) => JSON.parse(message!));
    });
  }

  async store(messages: { id: string }[]): Promise<void> {
    await this.#redis(async (redis) => {
      for (const message of messages) {
        const isNew = await redis.hset(this.#key, message.id, JSON.stringify(message));
        if (isNew) await redis.rpush(`${this.#key}:ids`, message.id);
      }
    });
  }

  /** How many words the model has written. */
  async written(): Promise<number> {
    return Number(await this.#redis((redis) => redis.get(`${this.#key}:words`)));
  }

  /** Lets a model end that was asked to wait. */
  async release(): Promise<void> {
    await this.#redis((redis) => redis.set(`${this.#key}:go`, '1'));
  }

  async #redis<T>(use: (redis: Redis) => Promise<T>): Promise<T> {
    const redis = new Redis(adminUrl());
    try {
      return await use(redis);
    } finally {
      redis.disconnect();
    }
  }
}
