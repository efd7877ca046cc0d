/** Orders as applications publish them: other values in each event. */
const WORDS =
  'red blue small large cotton wool shirt chair table lamp coffee green tea garden kitchen light heavy new classic sport'.split(
    ' ',
  );
const below = (limit) => Math.floor(Math.random() * limit);
const pick = (values) => values[below(values.length)];
const title = () => `${pick(WORDS)} ${pick(WORDS)} ${pick(WORDS)}`;

const itemOf = () => ({
  productId: below(100_000),
  title: title(),
  quantity: 1 + below(9),
  unitPrice: below(10_000) / 100,
  currency: 'EUR',
  taxRate: pick([0.07, 0.19]),
  inStock: Math.random() < 0.9,
  discount: null,
});

/** An order of about `size` bytes as JSON. Its number `n` comes last, and is set when it is published. */
function orderOf(size) {
  const order = { id: below(1_000_000), state: pick(['paid', 'packed', 'sent']), items: [], n: 0 };
  const updatedAt = new Date(1_700_000_000_000 + below(10_000_000_000)).toISOString();
  const small = {
    id: order.id,
    state: order.state,
    customer: title(),
    total: below(100_000) / 100,
    updatedAt,
  };
  if (size < 200) return { ...small, currency: 'EUR', n: 0 };
  Object.assign(order, { updatedAt });
  const { n, ...rest } = order;
  while (JSON.stringify(rest).length < size - 60) rest.items.push(itemOf());
  return { ...rest, n };
}

const SIZES = [150, 1_000, 10_000];
const pools = new Map(SIZES.map((size) => [size, Array.from({ length: 256 }, () => orderOf(size))]));

/** Made before the measurement, so that its CPU does not count. */
export const orderNumber = (n, size) => ({ ...pools.get(size)[n % 256], n });
