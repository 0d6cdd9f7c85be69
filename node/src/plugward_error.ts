/** An `Error` for callers that prefer exceptions; everything else in the package answers with data. */
import { CATALOGUE, type CatalogueEntry } from "./errors";
import type { ErrorValue, Failure } from "./outcome";

/** An error with the catalogue's code, why it happened and what to do about it. */
export class PlugwardError extends Error {
  /** `PW-CALL-005`. */
  readonly code: string;
  /** The class name of the plugin's error, else the catalogue's. */
  readonly type: string;
  /** Why. */
  override readonly cause: string;
  /** What to do. */
  readonly remedy: string;
  /** Whether the same may succeed later by itself. */
  readonly retryable: boolean;
  /** The HTTP status that fits; Express takes it from here. */
  readonly status: number;
  /** The outcome of the call, where there was one. */
  readonly outcome?: Failure;

  constructor(error: ErrorValue, outcome?: Failure) {
    super(error.message);
    this.name = "PlugwardError";
    this.code = error.code;
    this.type = error.type;
    this.cause = error.cause;
    this.remedy = error.remedy;
    this.retryable = error.retryable;
    this.status = error.http_status;
    if (outcome) this.outcome = outcome;
  }

  /** The error of a failed call. */
  static of(outcome: Failure): PlugwardError {
    return new PlugwardError({ ...outcome, message: outcome.error, type: outcome.error_type }, outcome);
  }
}

/** @internal A whole error from a code and a message. */
export function errorValue(code: string, message?: string): ErrorValue {
  const row: CatalogueEntry | undefined = (CATALOGUE as Record<string, CatalogueEntry>)[code];
  return {
    code,
    type: row?.type ?? "InternalError",
    message: message ?? row?.message ?? code,
    cause: row?.cause ?? "",
    remedy: row?.remedy ?? "",
    retryable: row?.retryable ?? false,
    http_status: row?.httpStatus ?? 500,
  };
}

/** @internal Runs an addon function; what it throws becomes a {@link PlugwardError}. */
export function native<T>(body: () => T): T {
  try {
    return body();
  } catch (error) {
    throw fromNative(error);
  }
}

/** @internal The error that the addon threw, as a {@link PlugwardError}. */
export function fromNative(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const value = parsed(error.message);
  return value ? new PlugwardError(value) : error;
}

function parsed(text: string): ErrorValue | undefined {
  try {
    const value = JSON.parse(text) as ErrorValue;
    return typeof value?.code === "string" ? value : undefined;
  } catch {
    return undefined;
  }
}

/** @internal What an error says, whatever it is. */
export function textOf(error: unknown): string {
  try {
    return (error instanceof Error ? String(error.message) : String(error)).slice(0, 2000);
  } catch {
    return "(unprintable)";
  }
}

/** @internal Any error as the core would write it. */
export function asValue(error: unknown): ErrorValue {
  const known = fromNative(error) as { code?: unknown; type?: unknown; message?: unknown; status?: unknown } | undefined;
  if (typeof known?.code === "string" && known.code.startsWith("PW-")) {
    const value = known as unknown as ErrorValue & { status: number };
    return { ...errorValue(known.code), message: value.message, cause: value.cause, remedy: value.remedy };
  }
  return errorValue(error instanceof TypeError ? "PW-ABI-007" : "PW-RT-003", textOf(error));
}
