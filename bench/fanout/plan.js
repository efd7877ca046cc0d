/**
 * The channel and order of all events. Publisher, clients and runner compute it independently.
 *
 * A plan consists of turns. The events of a turn are published at once. Each turn causes the same number of deliveries:
 *
 * - `one`: `perTurn` events to the channel that all clients read
 * - `many`: `perTurn` events to as many channels, in turn; each is read by `clients / channels` clients
 * - `both`: every client reads a channel of its own and a shared one; ten turns of one shared event, then one of an
 *   event to each client's own
 */
const SHARED_TURNS = 10;

/** Which of a client's two channels an event belongs to. The data contains it, so that each channel is counted separately. */
export const [OWN, SHARED] = [0, 1];

const ownChannel = (index) => `own${index}`;

/** The request target of a client. Servers read only the query, nchan needs the path. */
export function pathOf({ topology, channels }, client) {
  const own = `own=${ownChannel(topology === 'many' ? client % channels : client)}`;
  return { one: '/one?shared=all', many: `/many?${own}`, both: `/both?${own}&shared=all` }[topology];
}

export const channelsOf = ({ own, shared }) => [own, shared].filter((channel) => channel !== undefined);

export function deliveriesPerTurn({ topology, clients, channels, perTurn = 1 }) {
  return { one: perTurn * clients, many: (perTurn * clients) / channels, both: clients }[topology];
}

/** How many events each client gets from its own channel and from the shared one. */
export function expectedOf({ topology, turns, channels, perTurn = 1 }) {
  const ownTurns = Math.floor(turns / (SHARED_TURNS + 1));
  return {
    one: [0, turns * perTurn],
    many: [(turns * perTurn) / channels, 0],
    both: [ownTurns, turns - ownTurns],
  }[topology];
}

/** Microseconds of a clock that all processes of a machine share. */
const offset = Number(process.hrtime.bigint() / 1_000n) - performance.now() * 1_000;
export const now = () => performance.now() * 1_000 + offset;

/** The events of each turn, without their time. */
export function* turnsOf({ topology, turns, clients, channels, perTurn = 1, size = 100 }) {
  // The other fields take about 40 bytes.
  const text = 'x'.repeat(size - 40);
  const event = (c, n, channel) => ({ channel, data: { c, n, t: 0, text } });
  const group = (count, make) => Array.from({ length: count }, (_, index) => make(index));
  let [own, shared] = [0, 0];
  for (let turn = 1; turn <= turns; turn++) {
    if (topology === 'one') {
      yield group(perTurn, () => event(SHARED, shared++, 'all'));
    } else if (topology === 'many') {
      yield group(perTurn, () => event(OWN, Math.floor(own / channels), ownChannel(own++ % channels)));
    } else if (turn % (SHARED_TURNS + 1) === 0) {
      yield group(clients, (client) => event(OWN, own, ownChannel(client)));
      own++;
    } else {
      yield [event(SHARED, shared++, 'all')];
    }
  }
}
