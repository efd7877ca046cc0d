import { element } from './dom.js';

const MAX_SHOWN = 200;

/** `sse.reset` and its reason, for a person. */
function gapText(data) {
  const { reason } = JSON.parse(data);
  return `Gap: events may be missing (${reason}). An application loads its state again here.`;
}

/** Events, the newest first. */
export class EventList {
  constructor(list, empty) {
    this.list = list;
    this.empty = empty;
  }

  add({ type, data, id }, isReplayed) {
    const isGap = type === 'sse.reset';
    const isControl = type.startsWith('sse.');
    const item = element('li', isGap ? 'gap' : isControl ? 'control' : type === 'message' ? '' : 'typed');
    const line = element('div', 'line');
    line.append(element('span', 'type', type));
    if (isReplayed) {
      item.classList.add('replayed');
      line.append(element('span', 'tag', 'replayed'));
    }
    line.append(element('time', '', new Date().toLocaleTimeString()));
    item.append(line);
    if (isGap) item.append(element('p', 'gap-text', gapText(data)));
    item.append(element('pre', 'data', data));
    if (id) {
      const shown = element('span', 'event-id', id);
      shown.title = `id: ${id}`;
      item.append(shown);
    }
    this.list.prepend(item);
    while (this.list.childElementCount > MAX_SHOWN) this.list.lastElementChild.remove();
    this.empty.hidden = true;
  }

  clear() {
    this.list.replaceChildren();
    this.empty.hidden = false;
  }
}
