import type { SseEvent } from '../event/event.js';
import type { AnyDefinition, SseEventTypeOf } from './define-channel.js';
import type { Jsonify } from './jsonify.js';
import type { OutputOf } from './standard-schema.js';

interface WithType<Type> {
  /** The type. */
  type: Type;
}
interface WithoutType {
  /** None. */
  type?: undefined;
}

/** The event of a type, as subscribers get it; of `''` and `message`, an event without one. */
export type SseTypedEvent<Type, Data> = Omit<SseEvent<Data>, 'type'> &
  (Type extends '' | 'message' ? WithoutType : WithType<Type>);

/** The data of `sse.reset`: events are missing. */
export interface SseResetData {
  /** The channel. */
  channel: string;
  /** Why events are missing. */
  reason: 'unknown' | 'lost' | 'limit' | 'failed';
}

/** The data of `sse.open` and `sse.position`: the connection has a position. */
export interface SsePositionData {
  /** The channel, or several. */
  channel: string | readonly string[];
  /** There are more events than a connection may begin with. */
  truncated?: true;
}

/** The events of the module itself. */
export type SseControlEvent =
  | SseTypedEvent<'sse.reset', SseResetData>
  | SseTypedEvent<'sse.open', SsePositionData>
  | SseTypedEvent<'sse.position', SsePositionData>;

/** The events of a definition's channels as subscribers get them, distinguished by `type`. Those of publishers without the definition are not checked. */
export type SseEventOf<Definition extends AnyDefinition> = Definition extends AnyDefinition
  ? | {
        [Type in SseEventTypeOf<Definition>]: SseTypedEvent<
          Type,
          Jsonify<OutputOf<Definition['events'][Type]>>
        >;
      }[SseEventTypeOf<Definition>]
    | SseControlEvent
  : never;
