import { inputError } from '../common/sse.errors.js';

const MAX_LENGTH = 200;
// oxlint-disable-next-line no-control-regex -- controls are what it looks for
const CONTROLS = /[\u0000-\u001f\u007f-\u009f]+/g;

/** A reason, which clients see. @throws SseError `SSE_INPUT` */
export function checkReason(reason: unknown): string {
  const isReason = typeof reason === 'string' && reason !== '' && asReason(reason) === reason;
  if (isReason) return reason;
  throw inputError('reason', `1–${MAX_LENGTH} characters without controls`, reason);
}

/** A message as a reason. */
export const asReason = (message: string): string => message.replaceAll(CONTROLS, ' ').slice(0, MAX_LENGTH);
