import { element } from './dom.js';

/** Below this distance from the end, in px, the list follows new text. */
const FOLLOW_PX = 40;

/** How an answer ended, for a person. */
function describeEnd({ status, reason }) {
  if (status === 'aborted') return 'Stopped';
  return status === 'lost' ? 'The answer was lost' : `Error: ${reason}`;
}

/** The messages of a chat. Each is updated in place. */
export class MessageList {
  #items = new Map();

  /** @param handlers `ask(message)`, for a message that has no full answer, and `hostOf(node)` */
  constructor(list, handlers) {
    this.list = list;
    this.handlers = handlers;
  }

  /** @param notice why the answer that is being written does not go on */
  show(messages, isBusy, notice) {
    const { list } = this;
    const isAtEnd = list.scrollHeight - list.scrollTop - list.clientHeight < FOLLOW_PX;
    // A new message of the user is shown in any case.
    const isNew =
      messages.length > 0 && !this.#items.has(messages.findLast(({ role }) => role === 'user')?.id);
    const before = this.#items;
    this.#items = new Map();
    for (const [n, message] of messages.entries()) {
      const known = before.get(message.id) ?? this.#create(message);
      before.delete(message.id);
      this.#items.set(message.id, known);
      if (list.children[n] !== known.item) list.insertBefore(known.item, list.children[n] ?? null);
      this.#update(known, messages, n, isBusy);
      if (notice !== '' && n === messages.length - 1) this.#notify(known, notice);
    }
    for (const { item } of before.values()) item.remove();
    list.setAttribute('aria-busy', isBusy);
    if (isAtEnd || isNew) list.scrollTop = list.scrollHeight;
  }

  #notify({ item, note, end }, notice) {
    item.dataset.state = 'interrupted';
    set(note, notice);
    end.hidden = false;
  }

  #create({ role }) {
    const item = element('li', `message ${role}`);
    const by = element('p', 'by');
    const text = element('p', 'text');
    const end = element('div', 'message-end');
    const note = element('p', 'note');
    const again = element('button', 'quiet again', 'Ask again');
    again.type = 'button';
    end.append(note, again);
    item.append(by, text, end);
    return { item, by, text, end, note, again };
  }

  #update({ item, by, text, end, note, again }, messages, n, isBusy) {
    const message = messages[n];
    const isUser = message.role === 'user';
    const isLast = n === messages.length - 1;
    const host = message.node && this.handlers.hostOf(message.node);
    set(by, isUser ? 'You' : host ? `Answer from ${host}` : 'Answer');
    set(text, message.text);
    text.hidden = message.text === '' && !(isLast && isBusy);
    const problem = isUser ? problemOf(message, messages[n + 1], isLast && isBusy) : endOf(message);
    item.dataset.state = isBusy && isLast && !isUser ? 'streaming' : (message.end?.status ?? '');
    set(note, problem);
    end.hidden = problem === '';
    // A message that is asked again is the last one.
    const question = isUser ? message : messages[n - 1];
    again.hidden = !isLast || isBusy || question === undefined;
    again.onclick = () => this.handlers.ask(question);
  }
}

function set(target, text) {
  if (target.textContent !== text) target.textContent = text;
}

const endOf = ({ end }) => (end === undefined || end.status === 'done' ? '' : describeEnd(end));

/** What is wrong with a message of the user. */
function problemOf({ problem }, next, isWaiting) {
  if (problem !== undefined) return `Not answered: ${problem}`;
  return next?.role === 'assistant' || isWaiting ? '' : 'Nothing is kept of its answer';
}
