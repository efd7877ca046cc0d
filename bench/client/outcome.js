/** Puts what was observed into words. */
import { median } from '../redis.js';

/** What clients call a state from which they make no further attempt. */
export const FINAL = ['ended', 'failed', 'closed', 'resolved', 'rejected'];
const PAUSE_MS = 100;

const inSeconds = (ms) => `${(ms / 1_000).toFixed(1)} s`;
const inWords = (count, what) => `${count} ${what}${count === 1 ? '' : 's'}`;

export function outcomeOf(seen, { isHidden, hasRetryAfter }) {
  const { attempts } = seen;
  const parts = [isHidden ? hiddenCourse(seen) : course(seen), inWords(attempts.length, 'request')];
  if (hasRetryAfter) parts.push(`${earlyRequests(seen)} too early`);
  return [...parts, ...faults(seen, isHidden)].join(', ');
}

function course({ attempts, resumedAt, faultEnd, state, seconds }) {
  if (resumedAt !== undefined) return `resumes after ${inSeconds(resumedAt - faultEnd)}`;
  if (FINAL.includes(state)) return `stops: \`${state}\``;
  const still = `in ${Math.round(seconds)} s`;
  if (attempts.length === 0) return `no event ${still}: \`${state}\``;
  const gaps = attempts.slice(1).map((at, n) => at - attempts[n]);
  if (gaps.length === 0) return `one attempt ${still}: \`${state}\``;
  const gap = median(gaps).median;
  return gap < PAUSE_MS ? `loops without a pause ${still}` : `goes on every ${inSeconds(gap)}`;
}

/** How many of the events of that time arrived while the tab was hidden. */
function hiddenCourse({ log, published, hidden, state }) {
  const isMeanwhile = ({ at }) => at > hidden.from && at < hidden.until;
  const [arrived, all] = [log, published].map((events) => events.filter(isMeanwhile).length);
  return `${arrived} of ${all} events while hidden, then \`${state}\``;
}

/** Requests after the response that named a time, and before that time. */
const earlyRequests = ({ requests, faultEnd }) =>
  requests.filter(({ at }, n) => n > 0 && at < faultEnd).length;

/** Events that are missing between the first and the last one, or arrived more than once. A client that has stopped loses none here. */
function faults({ log, published, resumedAt }, isHidden) {
  const numbers = log.map(({ n }) => n);
  const isConnected = isHidden || resumedAt !== undefined;
  const last = isConnected ? published.at(-1).n : Math.max(...numbers);
  const got = new Set(numbers);
  const lost = published.filter(({ n }) => n > numbers[0] && n < last && !got.has(n)).length;
  const twice = numbers.length - got.size;
  return [
    ...(lost > 0 ? [`**${inWords(lost, 'event')} lost**`] : []),
    ...(twice > 0 ? [`**${inWords(twice, 'event')} twice**`] : []),
  ];
}
