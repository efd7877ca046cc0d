import { connect } from 'nestjs-sse-channels/client';
import type { orders } from './orders.js';

/** A page that knows the events of the server. */
export const follow = (url: string, show: (text: string) => void) =>
  connect<typeof orders>(url).on('paid', ({ at }) => show(at));
