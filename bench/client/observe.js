/** Runs one client in a page with one server, and records what happens. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Feed } from './feed.js';
import { FINAL } from './outcome.js';

const POLL_MS = 100;
/** So many events arrive before the fault. */
const BEFORE = 3;
const START_MS = 15_000;
/** How long a client that has resumed is observed further, for events that are lost or arrive twice. */
const SETTLED_MS = 1_500;
/** How long a client is observed further that reports that it has stopped. */
const STOPPED_MS = 6_000;
/** Events that were published so shortly before the end may be on their way. */
const IN_FLIGHT_MS = 500;

export async function observe({ context, script, client, before, start, ms, ...kind }) {
  const feed = await Feed.start();
  const page = await context.newPage();
  const attempts = attemptsOf(page);
  const look = () => page.evaluate('({ log: bench.log, state: bench.state() })');
  try {
    await page.bringToFront();
    await page.goto(feed.page(kind.isOtherOrigin));
    await page.addScriptTag({ content: script });
    await before?.({ feed });
    const options = JSON.stringify({ hasToken: kind.hasToken === true });
    await page.evaluate(`bench.start('${client}', '${feed.url}', ${options})`);
    const started = Date.now();
    while ((await look()).log.length < BEFORE) {
      if (Date.now() - started > START_MS) throw new Error(`${client} gets no events`);
      await sleep(POLL_MS);
    }
    const from = Date.now();
    const hidden = await start({ feed, ...tabOf(context, page) });
    const until = Date.now();
    for (;;) {
      const { log, state } = await look();
      const now = Date.now();
      const stream = feed.streams.find(({ at }) => at > from);
      const resumedAt = stream && log.find(({ at }) => at >= stream.at)?.at;
      const isSettled = !kind.isHidden && resumedAt !== undefined && now - resumedAt > SETTLED_MS;
      const hasStopped = FINAL.includes(state) && now - until > STOPPED_MS;
      if (isSettled || hasStopped || now - until > ms) {
        const published = feed.published.filter(({ at }) => at < now - IN_FLIGHT_MS);
        const after = ({ at }) => at > from;
        return {
          log,
          state,
          published,
          hidden,
          resumedAt,
          faultEnd: feed.faultEnd,
          attempts: attempts.filter((at) => at > from),
          requests: feed.requests.filter(after),
          seconds: (now - from) / 1_000,
        };
      }
      await sleep(POLL_MS);
    }
  } finally {
    feed.stop();
    await page.close();
  }
}

/** When the page requested the feed, also where no server took the connection. */
function attemptsOf(page) {
  const attempts = [];
  page.on('request', (request) => {
    const isFeed = new URL(request.url()).pathname.startsWith('/feed');
    if (isFeed && !request.redirectedFrom()) attempts.push(Date.now());
  });
  return attempts;
}

/** Has the page hidden by the tab that Chromium opened when it started. */
function tabOf(context, page) {
  const [other] = context.pages();
  const front = async (shown, isHidden) => {
    await shown.bringToFront();
    while ((await page.evaluate('document.hidden')) !== isHidden) await sleep(POLL_MS);
  };
  return { hide: () => front(other, true), show: () => front(page, false) };
}
