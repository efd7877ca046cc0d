import type { SseClientEvent } from './listeners.js';
import type { SseState } from './source.js';

/**
 * What a client uses of a definition of `defineChannel()`: its types. An interface of its own, because a bundle must have nothing of the
 * server.
 */
export interface SseClientDefinition {
  (...values: never): unknown;
  /** The name of the channels, with parameters. */
  readonly pattern: string;
  /** The data of the events as JSON keeps it, by event type. */
  readonly '~events'?: Readonly<Record<string, unknown>>;
}

/** The data of `sse.open` and `sse.position`. */
export interface SsePositionData {
  /** The channel of the connection, or its channels. */
  readonly channel: string | readonly string[];
  /** More events are stored than the connection could begin with. */
  readonly truncated?: true;
}

/** The data of `sse.reset`: events may be missing. */
export interface SseResetData {
  /** The channel of the events. */
  readonly channel: string;
  /** Why: the id is not known, events are no longer stored, they are too many, or a filter has failed. */
  readonly reason: 'unknown' | 'lost' | 'limit' | 'failed';
}

/** The data of `sse.end`: how a stream has ended. */
export interface SseEndData {
  /** How it has ended. */
  readonly status: 'done' | 'error' | 'aborted' | 'lost';
  /** Why; absent with `done`. */
  readonly reason?: string;
}

/** The events of the module itself: a connection begins, its position has moved, events are missing, a stream has ended. */
export type SseClientControlEvent =
  | SseClientEvent<SsePositionData, 'sse.open'>
  | SseClientEvent<SsePositionData, 'sse.position'>
  | SseClientEvent<SseResetData, 'sse.reset'>
  | SseClientEvent<SseEndData, 'sse.end'>;

/**
 * All events that a client gets of a definition's channels, distinguished by `type`. `message` is the type of those without one.
 *
 * @typeParam Definition one definition, or a union of several
 */
export type SseClientEventOf<Definition extends SseClientDefinition> =
  | (Definition extends SseClientDefinition
      ? {
          [Type in keyof NonNullable<Definition['~events']> & string]: SseClientEvent<
            NonNullable<Definition['~events']>[Type],
            Type extends '' ? 'message' : Type
          >;
        }[keyof NonNullable<Definition['~events']> & string]
      : never)
  | SseClientControlEvent;

/**
 * The event that listeners of a type get. Those of `sse.state` get the state of the source. With a definition that was given as
 * `SseChannelDefinition`, without its types, it is any event.
 */
export type SseTypedEvent<Definition extends SseClientDefinition, Type extends string> =
  | Extract<
      SseClientEventOf<Definition> | SseClientEvent<SseState, 'sse.state'>,
      SseClientEvent<unknown, Type>
    >
  | (string extends SseClientEventOf<Definition>['type'] ? SseClientEvent : never);

/** A function that a typed source calls with each event of a type. */
export type SseTypedListener<Definition extends SseClientDefinition, Type extends string> = (
  data: SseTypedEvent<Definition, Type>['data'],
  event: SseTypedEvent<Definition, Type>,
) => void;
