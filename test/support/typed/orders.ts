import { defineChannel, type } from 'nestjs-sse-channels';
import { z } from 'zod';

/** Channels of a server, which pages import as a type. */
export const orders = defineChannel('order:{id}', {
  paid: z.object({ amount: z.number(), at: z.date() }),
  status: z.object({ status: z.enum(['open', 'sent']) }),
  shipped: z.string().transform((text) => new Date(text)),
  '': type<{ note: string; tags?: Set<string>; draft: undefined }>(),
});

export const news = defineChannel('news', {
  message: type<string>(),
  paid: type<{ free: boolean }>(),
});
