/**
 * Nest 12 is ESM only, and Jest on Node 20 loads CommonJS best: swc turns our sources and every ESM
 * package below into CommonJS on the fly, so no experimental flag is needed.
 */
const esmPackages = [
  '@nestjs',
  '@fastify/cookie',
  '@orpc',
  '@redocly',
  '@scalar',
  'github-slugger',
  'fastify-plugin',
  '@seriousme',
  'arktype',
  'arkregex',
  '@ark',
  'jose',
  'eventsource',
  'eventsource-parser',
  // What `app.inject()` of Fastify brings.
  'light-my-request',
  'cookie',
  'file-type',
  'uint8array-extras',
  'strtok3',
  'token-types',
  'arktype',
  'arkregex',
  '@ark',
];

export default {
  testEnvironment: 'node',
  testMatch: ['<rootDir>/{src,test}/**/*.spec.ts'],
  globalSetup: '<rootDir>/test/support/global-setup.ts',
  globalTeardown: '<rootDir>/test/support/global-teardown.ts',
  testSequencer: '<rootDir>/test/support/sequencer.js',
  moduleNameMapper: {
    '^nestjs-sse-channels$': '<rootDir>/src/index.ts',
    '^nestjs-sse-channels/testing$': '<rootDir>/src/integrations/testing/index.ts',
    '^nestjs-sse-channels/swagger$': '<rootDir>/src/integrations/swagger/index.ts',
    '^nestjs-sse-channels/client$': '<rootDir>/src/client/index.ts',
    '^nestjs-sse-channels/(asyncapi|prometheus|terminus)$': '<rootDir>/src/integrations/$1.ts',
    '^(\\.{1,2}/.*)\\.js$': '$1',
  },
  transformIgnorePatterns: [`/node_modules/(?!(${esmPackages.join('|')})/)`],
  transform: {
    '\\.m?[jt]s$': [
      '@swc/jest',
      {
        jsc: {
          target: 'es2022',
          parser: { syntax: 'typescript', decorators: true },
          transform: { legacyDecorator: true, decoratorMetadata: true },
        },
        module: { type: 'commonjs' },
      },
    ],
  },
  // Tests wait for Redis, browsers and timers more than they compute.
  maxWorkers: 4,
  // Waits end without progress (`test/support/until.ts`). This ends a test that makes progress without an end.
  testTimeout: 300_000,
  // A busy machine takes more than the default of half a second to end a process.
  workerGracefulExitTimeout: 10_000,
};
