import { createCipheriv, createDecipheriv, createHash, createHmac, randomBytes } from 'node:crypto';

const CIPHER = 'aes-256-gcm';
/** A key encrypts one text, so the initialization vector need not vary. */
const IV = Buffer.alloc(12);
const TAG_BYTES = 16;

/** 256 random bits. */
export const newTicket = (): string => randomBytes(32).toString('base64url');

/** Whether a value of a query has the shape of a ticket. */
export const isTicket = (value: unknown): value is string =>
  typeof value === 'string' && /^[\w-]{43}$/.test(value);

/** The name under which a ticket is kept: the ticket cannot be derived from it. */
export const hashOf = (ticket: string): string => createHash('sha256').update(ticket).digest('base64url');

/** Encrypts a text so that it can be read only with the ticket: a session may be a credential of its own. */
export function seal(ticket: string, text: string): string {
  const cipher = createCipheriv(CIPHER, keyOf(ticket), IV, { authTagLength: TAG_BYTES });
  const sealed = [cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()];
  return Buffer.concat(sealed).toString('base64url');
}

/** @throws Error for anything but what `seal()` has returned for this ticket */
export function unseal(ticket: string, sealed: string): string {
  const bytes = Buffer.from(sealed, 'base64url');
  const decipher = createDecipheriv(CIPHER, keyOf(ticket), IV, { authTagLength: TAG_BYTES });
  decipher.setAuthTag(bytes.subarray(-TAG_BYTES));
  return decipher.update(bytes.subarray(0, -TAG_BYTES)).toString() + decipher.final('utf8');
}

const keyOf = (ticket: string) => createHmac('sha256', ticket).update('nestjs-sse-channels').digest();
