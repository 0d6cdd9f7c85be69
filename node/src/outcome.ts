/** What every call returns: a result or an error as data, never a rejection. */
import type { NativeEnded } from "./native";

/** What may have happened to the outside world. */
export type Effect = "not_started" | "completed" | "stopped" | "may_have_run";

/** What is known of a call whatever its result. */
export interface CallFacts {
  readonly plugin: string;
  readonly tool: string;
  readonly effect: Effect;
  /** From admission to end. */
  readonly elapsed_ms: number;
  /** The generation that was called; 0 when none was, or where the caller left before a worker process had answered. */
  readonly generation: number;
  /** Unique in the process; 0 when the call was not admitted, and where `generation` is 0. */
  readonly call_id: number;
}

/** A call that returned. */
export interface Success<T = unknown> extends CallFacts {
  readonly ok: true;
  readonly result: T;
}

/** A call that did not. The field names are those of every Plugward door. */
export interface Failure extends CallFacts {
  readonly ok: false;
  /** What happened. */
  readonly error: string;
  /** The class name of the plugin's error, else the catalogue's. */
  readonly error_type: string;
  /** `PW-CALL-005`; see `Code`. */
  readonly code: string;
  /** Why. */
  readonly cause: string;
  /** What to do. */
  readonly remedy: string;
  /** Whether the same call may succeed later by itself. */
  readonly retryable: boolean;
  /** The HTTP status that fits. */
  readonly http_status: number;
  /** Places of invalid input, and the like. */
  readonly details?: unknown;
  /** The plugin's stack, for operators. */
  readonly traceback?: string;
}

/** The answer to a call. */
export type Outcome<T = unknown> = Success<T> | Failure;

/** An error as the core writes it. */
export interface ErrorValue {
  readonly code: string;
  readonly type: string;
  readonly message: string;
  readonly cause: string;
  readonly remedy: string;
  readonly retryable: boolean;
  readonly http_status: number;
  readonly details?: unknown;
  readonly traceback?: string;
}

/** @internal Facts of a call that was not admitted. */
export const NOT_STARTED: NativeEnded = { effect: "not_started", elapsedMs: 0, generation: 0, callId: 0 };

function factsOf(plugin: string, tool: string, ended: NativeEnded): CallFacts {
  const { effect, elapsedMs, generation, callId } = ended;
  return { plugin, tool, effect: effect as Effect, elapsed_ms: elapsedMs, generation, call_id: callId };
}

/** @internal The failed half. */
export function failure(plugin: string, tool: string, error: ErrorValue, ended: NativeEnded = NOT_STARTED): Failure {
  const { message, type, ...rest } = error;
  return { ok: false, error: message, error_type: type, ...rest, ...factsOf(plugin, tool, ended) };
}

/** @internal The outcome of an ended call; `value` counts only where there is no error. */
export function outcomeOf<T>(plugin: string, tool: string, ended: NativeEnded, value: T): Outcome<T> {
  if (ended.error !== undefined) return failure(plugin, tool, JSON.parse(ended.error) as ErrorValue, ended);
  return { ok: true, result: value, ...factsOf(plugin, tool, ended) };
}
