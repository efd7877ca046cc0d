import { byId, describe, onSubmit, parse, send } from './dom.js';

/** The fields of the form. Empty ones are left out, and data that is not JSON is text. */
function publication(form) {
  const {
    data = '',
    retry,
    ...fields
  } = Object.fromEntries([...new FormData(form)].filter(([, value]) => value !== ''));
  return { ...fields, ...(retry && { retry: Number(retry) }), data: parse(data) };
}

/** @param nodes the nodes of the two clients: one button publishes on each */
export function startPublishing(nodes) {
  const form = byId('publish');
  const answer = byId('answer');
  onSubmit(form, async (button) => {
    answer.className = 'answer';
    answer.textContent = 'Publishing…';
    const node = nodes()[Number(button?.value ?? 0)];
    const response = await send('POST', `${node}/publish`, publication(form));
    answer.classList.toggle('bad', !response.ok);
    answer.textContent = response.ok ? `Published as ${response.body.id}` : describe(response);
  });
}

/** With two nodes, the form has a button for each. */
export function showNodes([first, second]) {
  const [one, two] = document.querySelectorAll('#publish button');
  two.hidden = first === second;
  one.textContent = two.hidden ? 'Publish' : `Publish on ${new URL(first).host}`;
  two.textContent = `Publish on ${new URL(second).host}`;
}
