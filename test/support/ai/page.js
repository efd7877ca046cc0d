/** A page with a chat. `useChat()` is unmodified; the transport is that of the SDK, or ours. */
import { useChat } from '@ai-sdk/react';
import { DefaultChatTransport } from 'ai';
import { SseChatTransport } from 'nestjs-sse-channels/client/ai';
import { createElement, useEffect, useState } from 'react';
import { createRoot } from 'react-dom/client';
import { Chat as RecipeChat } from './recipe.tsx';

const query = new URLSearchParams(location.search);
const id = query.get('id');

function Chat({ generation, ...loaded }) {
  const [transport] = useState(() => {
    const options = { api: '/api/chat' };
    return query.has('sdk')
      ? new DefaultChatTransport(options)
      : new SseChatTransport({ ...options, generation });
  });
  const [log] = useState({ finished: [], statuses: [] });
  const onFinish = ({ message, isAbort, isDisconnect, isError }) =>
    log.finished.push({ id: message.id, isAbort, isDisconnect, isError });
  const chat = useChat({
    ...loaded,
    transport,
    resume: query.has('sdk') || generation !== undefined,
    onFinish,
  });
  if (log.statuses.at(-1) !== chat.status) log.statuses.push(chat.status);
  useEffect(() => {
    globalThis.chat = chat;
    globalThis.shown = {
      status: chat.status,
      error: chat.error?.message,
      roles: chat.messages.map(({ role }) => role).join(),
      texts: chat.messages.flatMap(({ parts }) =>
        parts.filter(({ type }) => type === 'text').map(({ text }) => text),
      ),
      ...log,
    };
  });
  return createElement('p', {}, chat.status);
}

const chat = await (await fetch(`/api/chat/${id}`)).json();
createRoot(document.getElementById('root')).render(
  createElement(query.has('recipe') ? RecipeChat : Chat, chat),
);
