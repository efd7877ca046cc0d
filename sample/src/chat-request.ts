import { BadRequestException } from '@nestjs/common';
import type { ChatMessage } from './chats.js';
import type { Generation } from './token-generator.js';

export interface ChatRequest {
  readonly chat: string;
  readonly question: ChatMessage;
  readonly generation: Generation;
}

/** Tokens per second, and tokens: the default, and the bounds. */
const SPEED = [30, 1, 200] as const;
const LENGTH = [120, 1, 2_000] as const;
/** Of a message, in characters. */
const MAX_TEXT = 4_000;
const ID = /^[\w-]{1,64}$/;

/** @throws BadRequestException */
export function checkChat(id: unknown): string {
  return checkId('id', id);
}

/** The body of the AI SDK's `useChat()`, and fields for the generator. @throws BadRequestException */
export function checkRequest(body: unknown): ChatRequest {
  const { id, messages, tokensPerSecond, length, fails = false } = fieldsOf(body);
  if (typeof fails !== 'boolean') throw new BadRequestException('Expected `fails` to be true or false');
  return {
    chat: checkChat(id),
    // The node has the others.
    question: checkQuestion(Array.isArray(messages) ? messages.at(-1) : undefined),
    generation: {
      tokensPerSecond: checkNumber('tokensPerSecond', tokensPerSecond, SPEED),
      length: checkNumber('length', length, LENGTH),
      fails,
    },
  };
}

const fieldsOf = (value: unknown) => Object(value) as Record<string, unknown>;

function checkId(name: string, id: unknown): string {
  if (typeof id === 'string' && ID.test(id)) return id;
  throw new BadRequestException(`Expected \`${name}\` to be 1 to 64 letters, digits, - or _`);
}

function checkNumber(name: string, value: unknown, [preset, min, max]: readonly [number, number, number]) {
  const number = value === undefined ? preset : value;
  if (Number.isInteger(number) && Number(number) >= min && Number(number) <= max) return Number(number);
  throw new BadRequestException(`Expected \`${name}\` to be a whole number from ${min} to ${max}`);
}

function checkQuestion(message: unknown): ChatMessage {
  const { id, role, parts } = fieldsOf(message);
  const text = (Array.isArray(parts) ? parts : [])
    .map(fieldsOf)
    .map(({ type, text: part }) => (type === 'text' && typeof part === 'string' ? part : ''))
    .join('');
  if (role !== 'user' || text.trim() === '' || text.length > MAX_TEXT) {
    throw new BadRequestException(
      `Expected the last of \`messages\` to be the user's, with a text of 1 to ${MAX_TEXT} characters`,
    );
  }
  return { id: checkId('id of the message', id), role, parts: [{ type: 'text', text }] };
}
