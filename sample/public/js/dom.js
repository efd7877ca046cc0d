/** The longest time for an answer: a browser without a free connection waits. */
const TIMEOUT_MS = 10_000;

export const byId = (id) => document.getElementById(id);

/** `crypto.randomUUID()` is missing on pages without HTTPS. */
export const newId = () => Math.random().toString(36).slice(2, 10);

/** An element with text. Data from outside is never parsed as HTML. */
export function element(tag, className = '', text = '') {
  const created = document.createElement(tag);
  created.className = className;
  created.textContent = text;
  return created;
}

/** Fills a panel with an HTML file of this page. */
export async function fill(root, file) {
  const response = await fetch(file);
  root.innerHTML = await response.text();
}

export function onSubmit(form, action) {
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    void action(event.submitter);
  });
}

/** JSON, or else the text itself. */
export function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** Sends JSON. `{ status, text, body }`: status 0 if the server is unreachable. */
export async function send(method, url, body) {
  const headers = body === undefined ? {} : { 'Content-Type': 'application/json' };
  try {
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    const response = await fetch(url, { method, headers, body: JSON.stringify(body), signal });
    const { status, statusText } = response;
    return { status, statusText, ok: response.ok, body: await response.json().catch(() => undefined) };
  } catch (error) {
    return { status: 0, statusText: `No answer: ${error.message}`, ok: false };
  }
}

/** An answer for a person: the status, and the reason if the server gives one. */
export function describe({ status, statusText, body }) {
  const reason = body?.message && body.message !== statusText ? `: ${body.message}` : '';
  return `${status || ''} ${statusText}${reason}`.trim();
}
