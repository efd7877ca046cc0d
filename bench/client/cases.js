/** The faults of servers. Each begins after some events, and ends at `feed.faultEnd`, if it ends. */
import { setTimeout as sleep } from 'node:timers/promises';
import { status } from './feed.js';

/** Longer than the delay of each client, so that each meets the fault. */
const FAULT_MS = 5_000;
const FAULT = `${FAULT_MS / 1_000} s`;
/** Longer than the delay of each client. */
const RETRY_AFTER_S = 5;
const RETRY_MS = 4_000;
const HIDDEN_MS = 3_000;
const html = status(200, { 'content-type': 'text/html' }, '<p>Please log in</p>');

/** Breaks the connections, and answers so for some time. */
function answerFor(feed, answer, ms) {
  feed.faultEnd = Date.now() + ms;
  feed.answer = (...args) => {
    if (Date.now() < feed.faultEnd) return answer(...args);
    feed.answer = undefined;
    feed.stream(...args);
  };
  feed.cut();
}

/** `ms` is how long a client is observed that does not resume. */
export const CASES = [
  { name: `502 for ${FAULT}`, start: ({ feed }) => answerFor(feed, status(502), FAULT_MS), ms: 15_000 },
  {
    name: `connections refused for ${FAULT}`,
    start: ({ feed }) => {
      feed.faultEnd = Date.now() + FAULT_MS;
      feed.down(FAULT_MS);
    },
    ms: 15_000,
  },
  {
    name: '401 once',
    title: '401 once, as for an expired token',
    hasToken: true,
    start: ({ feed }) => {
      feed.answer = (...args) => {
        feed.faultEnd = Date.now();
        feed.answer = undefined;
        status(401)(...args);
      };
      feed.cut();
    },
    ms: 10_000,
  },
  {
    name: '429 with Retry-After',
    hasRetryAfter: true,
    title: `429 with \`Retry-After: ${RETRY_AFTER_S}\``,
    start: ({ feed }) => {
      feed.answer = (...args) => {
        const { at } = feed.requests.at(-1);
        feed.faultEnd ??= at + RETRY_AFTER_S * 1_000;
        if (at >= feed.faultEnd) return feed.stream(...args);
        status(429, { 'retry-after': `${RETRY_AFTER_S}` })(...args);
      };
      feed.cut();
    },
    ms: 15_000,
  },
  {
    name: '204',
    title: '204: no more events',
    start: ({ feed }) => {
      feed.answer = status(204);
      feed.cut();
    },
    ms: 10_000,
  },
  {
    name: 'HTML with 200',
    title: `HTML with 200 for ${FAULT}`,
    start: ({ feed }) => answerFor(feed, html, FAULT_MS),
    ms: 36_000,
  },
  {
    name: 'cut in the middle of an event',
    title: 'body cut in the middle of an event, behind its id',
    start: ({ feed }) => feed.cutWithinEvent(),
    ms: 10_000,
  },
  {
    name: 'cut between two events',
    title: 'body cut between two events, more events meanwhile',
    start: ({ feed }) => {
      feed.faultEnd = Date.now();
      feed.cut();
    },
    ms: 10_000,
  },
  {
    name: 'response ended',
    start: ({ feed }) => {
      feed.faultEnd = Date.now();
      feed.end();
    },
    ms: 10_000,
  },
  {
    name: 'silence',
    title: 'silence: heartbeats of 1 s stop, the connection stays open',
    start: ({ feed }) => {
      feed.faultEnd = Date.now();
      feed.silence();
    },
    ms: 20_000,
  },
  {
    name: 'redirect',
    title: 'each request redirected (307), one cut',
    before: ({ feed }) => {
      feed.answer = (request, response) => {
        if (request.url.startsWith('/feed/moved')) return feed.stream(request, response);
        const { search } = new URL(request.url, feed.url);
        status(307, { location: `/feed/moved${search}` })(request, response);
      };
    },
    start: ({ feed }) => {
      feed.faultEnd = Date.now();
      feed.cut();
    },
    ms: 10_000,
  },
  {
    name: 'CORS refusal',
    title: `CORS refused for ${FAULT}`,
    isOtherOrigin: true,
    before: ({ feed }) => (feed.allowedOrigin = new URL(feed.page(true)).origin),
    start: ({ feed }) => {
      const { allowedOrigin } = feed;
      feed.allowedOrigin = undefined;
      feed.faultEnd = Date.now() + FAULT_MS;
      feed.later(() => (feed.allowedOrigin = allowedOrigin), FAULT_MS);
      feed.cut();
    },
    ms: 15_000,
  },
  {
    name: 'retry: 4000',
    title: '`retry: 4000`, one cut',
    before: ({ feed }) => (feed.firstLines += `retry: ${RETRY_MS}\n`),
    start: ({ feed }) => {
      feed.faultEnd = Date.now();
      feed.cut();
    },
    ms: 10_000,
  },
  {
    name: 'hidden tab',
    title: 'no fault, the tab hidden for 3 s',
    isHidden: true,
    start: async ({ hide, show }) => {
      await hide();
      const hidden = { from: Date.now() };
      await sleep(HIDDEN_MS);
      hidden.until = Date.now();
      await show();
      return hidden;
    },
    ms: 3_000,
  },
];
